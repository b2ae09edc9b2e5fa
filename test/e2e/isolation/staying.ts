import { join } from 'node:path';
import { until } from '../harness/machine.ts';
import type { Running } from '../harness/program.ts';
import { requests } from '../harness/raw-borg.ts';
import { updated } from '../harness/updated.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { passingKey } from './passing-key.ts';
import { agree, judge } from './verdict.ts';

export const stay: Try = async (actor, { server }) => {
  const { client, account } = actor;
  const { key, remove } = await passingKey(actor, server);

  const path = join(client.home, 'master');
  const over = (words: readonly string[], options: { input?: 'pipe' } = {}): Running =>
    client.ssh(account, words, { key, flags: ['-o', `ControlPath=${path}`], reject: false, ...options });
  const master = client.ssh(account, [], { key, flags: ['-N', '-M', '-o', `ControlPath=${path}`], reject: false });
  let ended = false;
  master.then(() => {
    ended = true;
  });
  const version = await until('the multiplexed connection', async () => {
    const { stdout } = await over(['borg', '--version']);
    return stdout.startsWith('borg ') ? true : undefined;
  });
  const running = over(['borg serve'], { input: 'pipe' });
  let runningEnded = false;
  running.then(() => {
    runningEnded = true;
  });
  running.stdin?.write(requests());
  try {
    await remove();
    await updated(server);
    const verdicts: Record<string, Verdict> = { before: version ? 'refused' : 'allowed' };
    // A busy machine may end them late. So the test finds out late if they may stay.
    const ends = (what: string, over: () => boolean): Promise<Verdict> =>
      until(what, over).then(
        () => 'refused',
        () => 'allowed',
      );
    verdicts.master = await ends('the connection to end', () => ended);
    verdicts.running = await ends('the session over it to end', () => runningEnded);
    const again = await over(['borg', '--version']);
    verdicts.again = judge(again.stdout.startsWith('borg '), again.stderr);
    return agree(verdicts);
  } finally {
    master.kill();
    running.kill();
  }
};
