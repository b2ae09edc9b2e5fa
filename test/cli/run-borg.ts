import { join } from 'node:path';
import { runBorgCommand } from '../../src/cli/borg.ts';
import { failureInLines } from '../../src/failure.ts';
import { placesBelow } from '../../src/places.ts';

// What is shipped with the program is found beside it.
process.argv[1] = join(import.meta.dirname, '../../src/main.ts');

// Runs the passthrough in a process of its own, as `docker exec` does: run-borg.ts ROOT WORD…
const [root = '', ...words] = process.argv.slice(2);
try {
  process.exitCode = await runBorgCommand(words, placesBelow(root));
} catch (error) {
  console.error(`borgserver: ${failureInLines(error)}`);
  process.exitCode = 2;
}
