import { CHANGING, interceptSystem } from './failing-system.ts';

/** Runs one pass below the root given as first argument; kills itself before the call that the second one counts. */
const [root = '', last = ''] = process.argv.slice(2);
const { passBelow } = await import('./scratch-root.ts');
let number = 0;
interceptSystem((call) => {
  if (!CHANGING.test(call.name)) return;
  number += 1;
  if (number === Number(last)) process.kill(process.pid, 'SIGKILL');
});
await passBelow(root);
