/**
 * Starts what its first argument names while this process has a full table of files, and says in one line of JSON how that ended:
 * node full-table.ts host|outcomes|plain. For a process with a small limit of files.
 */
import { closeSync, openSync } from 'node:fs';
import { startHostProcess } from '../../src/sessions/host-process.ts';
import { listenForOutcomes } from '../../src/sessions/outcome-listener.ts';
import { errorCode } from '../../src/system/errno.ts';
import { spawnSafely } from '../../src/system/spawn.ts';

const PROGRAM = ['-c', 'print("ready")'];

const start: Readonly<Record<string, () => Promise<unknown>>> = {
  host: async () => {
    const host = startHostProcess({ python: '/usr/bin/python3', program: PROGRAM, environment: {} }, 60_000, () => {});
    host.say('hello');
    host.retire();
    return { ready: await host.ready, ended: await host.ended };
  },
  outcomes: async () => {
    let trouble = '';
    const onTrouble = (why: string): void => {
      trouble = why;
    };
    const listener = await listenForOutcomes({
      ...{ python: '/usr/bin/python3', program: PROGRAM, onOutcome: () => {}, onTrouble },
    });
    listener.close();
    return { trouble };
  },
  plain: () =>
    new Promise((resolve) => {
      const { child } = spawnSafely('/bin/true', [], { stdio: 'pipe' });
      child.once('error', (error) => resolve({ error: error.message }));
      child.once('exit', (code) => resolve({ code }));
    }),
};

// Once before: what a start loads must be there already.
await start.plain?.();
const held: number[] = [];
try {
  for (;;) held.push(openSync('/dev/null', 'r'));
} catch (error) {
  if (errorCode(error) !== 'EMFILE') throw error;
}
const end = await start[process.argv[2] ?? '']?.();
for (const file of held) closeSync(file);
console.log(JSON.stringify(end));
