import { createProgram } from './cli/program.ts';
import { failureInLines } from './failure.ts';
import { PLACES } from './places.ts';
import { VERSION } from './version.ts';

/** Exit code of a command that could not do its work at all. */
const FAILED = 2;

const finish = async (work: Promise<number>): Promise<void> => {
  process.exitCode = await work;
};

try {
  await createProgram(PLACES, VERSION, finish).parseAsync();
} catch (error) {
  console.error(`borgserver: ${failureInLines(error)}`);
  process.exitCode = FAILED;
}
