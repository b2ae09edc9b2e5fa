import { runUpdate } from '../../src/cli/update.ts';
import { placesBelow } from '../../src/places.ts';

// Runs `update-borgusers` in a process of its own, below a scratch root: run-update.ts ROOT
process.exitCode = await runUpdate(placesBelow(process.argv[2] ?? ''), { json: false, dryRun: false });
