import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
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
  running.stdin?.write(requests());
  try {
    await remove();
    await updated(server);
    const verdicts: Record<string, Verdict> = { before: version ? 'refused' : 'allowed' };
    verdicts.master = (await until('the connection to end', () => ended || undefined, 5_000).catch(() => false))
      ? 'refused'
      : 'allowed';
    verdicts.running = judge((await Promise.race([running, setTimeout(5_000)])) === undefined, 'PathNotAllowed');
    const again = await over(['borg', '--version']);
    verdicts.again = judge(again.stdout.startsWith('borg '), again.stderr);
    return agree(verdicts);
  } finally {
    master.kill();
    running.kill();
  }
};
