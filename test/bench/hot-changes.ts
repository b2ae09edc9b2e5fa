import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../e2e/harness/client.ts';
import { until } from '../e2e/harness/machine.ts';
import type { Server } from '../e2e/harness/server.ts';
import { connected } from '../e2e/harness/sessions.ts';
import { anyKey } from './key-tree.ts';
import { median, type Row } from './measure.ts';
import { firstAnswer, wayTo } from './session.ts';

/**
 * (d) While backups run: from a new key file to its first login, and from a removed key to the refusal and to the end of its
 * session. Both include the 200 ms of stillness. A login that comes too early fails and costs a whole attempt. So the attempt
 * begins when the server has written the account's keys, which is seen through /proc.
 */
export const benchHotChanges = async (
  client: Client,
  server: Server,
  daemon: number,
  count: number,
  rounds: number,
): Promise<Row[]> => {
  const blob = client.key.public.split(' ')[1] ?? '';
  const plain: number[] = [];
  const gained: number[] = [];
  const lost: number[] = [];
  const ended: number[] = [];
  const backups = keepBackingUp(client);
  for (let round = 0; round < rounds; round += 1) {
    plain.push((await firstAnswer(wayTo(client, server, 'tenant'))) ?? Number.NaN);
    const name = `new${round}.example.org`;
    const file = join(server.sshkeys, 'repos', name);
    const granted = `/proc/${daemon}/root/run/borgserver/authorized_keys/${name}`;

    const dropped = performance.now();
    await writeFile(file, `${client.key.public}\n`);
    await until('the account to be made', () => existsSync(granted));
    if ((await firstAnswer(wayTo(client, server, name))) === null) throw new Error('the new key was refused');
    gained.push(performance.now() - dropped);

    const idle = await connected(server, client, name, client.key);
    // The file is written beside the tree, so that the server begins to look when the key goes, and not before.
    const other = `${server.sshkeys}.other`;
    await writeFile(other, `${anyKey()}\n`);
    const removed = performance.now();
    await rename(other, file);
    await until('the key to be gone', () => !readFileSync(granted, 'utf8').includes(blob));
    lost.push(performance.now() - removed);
    await idle.ssh.catch(() => {});
    ended.push(performance.now() - removed);
    if ((await firstAnswer(wayTo(client, server, name))) !== null) throw new Error('the removed key was let in');
  }
  const made = await backups.stop();
  const login = { what: 'the login itself', figure: median(plain) };
  const worst = (figures: readonly number[]): string =>
    `worst ${Math.round(Math.max(...figures))} ms of ${rounds}; ${made} backups meanwhile`;
  return [
    {
      ...{ part: 'd', what: `key file dropped to borg’s answer, at ${count}`, unit: 'ms', ours: median(gained) },
      ...{ beside: login, goal: { of: 'difference', limit: 300 }, note: worst(gained) },
    },
    {
      ...{ part: 'd', what: `key removed to refused, at ${count}`, unit: 'ms', ours: median(lost) },
      ...{ beside: login, goal: { of: 'ours', limit: 300 }, note: worst(lost) },
    },
    {
      ...{
        part: 'd',
        what: `key removed to the end of its idle session, at ${count}`,
        unit: 'ms',
        ours: median(ended),
      },
      ...{ beside: login, goal: { of: 'ours', limit: 1000 }, note: worst(ended) },
    },
  ];
};

/** Backups of random bytes, one after the other, of the account `tenant`; `stop` tells how many have finished. */
const keepBackingUp = (client: Client) => {
  const url = client.url('tenant');
  const options = { env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' } };
  let going = true;
  const all = (async () => {
    await client.borg(['init', '-e', 'none', url], options);
    let made = 0;
    for (; going; made += 1) {
      await writeFile(join(client.home, 'bytes'), randomBytes(20_000_000));
      await client.borg(['create', `${url}::backup${made}`, join(client.home, 'bytes')], options);
    }
    return made;
  })();
  return {
    stop: (): Promise<number> => {
      going = false;
      return all;
    },
  };
};
