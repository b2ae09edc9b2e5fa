import { CHANGING, interceptSystem } from './failing-system.ts';

/** Runs one pass below the root that is the first argument. Kills itself before a call: the second argument is the number of that call. */
const [root = '', last = ''] = process.argv.slice(2);
const { passBelow } = await import('./scratch-root.ts');
let number = 0;
interceptSystem((call) => {
  if (!CHANGING.test(call.name)) return;
  number += 1;
  if (number === Number(last)) process.kill(process.pid, 'SIGKILL');
});
await passBelow(root);
