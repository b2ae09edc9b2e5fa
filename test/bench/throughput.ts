import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { Client } from '../e2e/harness/client.ts';
import { inTurn, median, type Row, timed } from './measure.ts';
import type { PlainServer } from './plain-server.ts';

const ROUNDS = 6;

/** (c) Throughput of borg, beside the plain server. */
export const benchThroughput = async (
  client: Client,
  plain: PlainServer,
  { megabytes, files }: { readonly megabytes: number; readonly files: number },
): Promise<Row[]> => {
  const source = join(client.home, 'source');
  await writeLarge(join(source, 'large'), megabytes);
  await writeSmall(join(source, 'small'), files);
  const rsh = ['ssh', '-o', `UserKnownHostsFile=${plain.knownHosts}`, ...client.sshFlags()].join(' ');
  const targets = [
    { url: client.url('tenant'), env: {} },
    { url: `ssh://root@127.0.0.1:${plain.port}${plain.repository}`, env: { BORG_RSH: rsh } },
  ] as const;
  for (const { url, env } of targets) await client.borg(['init', '-e', 'none', url], { env: { ...env, ...QUIET } });

  const measure = async (
    words: (url: string, round: number) => readonly string[],
    after?: (url: string, round: number) => readonly string[],
  ) => {
    const found = await inTurn(ROUNDS, async (which, round) => {
      const { url, env } = targets[which];
      const options = { env: { ...env, ...QUIET }, cwd: client.home };
      const took = await timed(() => client.borg(words(url, round), options));
      if (after) await client.borg(after(url, round), options);
      return took;
    });
    return found.map(median) as [number, number];
  };
  const create = (name: string) => (url: string, round: number) =>
    ['create', '-C', 'none', '--files-cache=disabled', `${url}::${name}${round}`, `source/${name}`] as const;
  const drop = (name: string) => (url: string, round: number) =>
    ['delete', ...(name === 'large' ? ['--force'] : []), `${url}::${name}${round}`] as const;

  const large = await measure(create('large'), drop('large'));
  const small = await measure(create('small'), drop('small'));
  for (const { url, env } of targets)
    await client.borg(create('large')(url, 99), { env: { ...env, ...QUIET }, cwd: client.home });
  const extract = await measure((url) => ['extract', '--dry-run', `${url}::large99`]);
  await rm(source, { recursive: true });
  const rate = ([ours, theirs]: readonly [number, number], amount: number) => ({
    ours: (amount / ours) * 1000,
    beside: { what: 'plain borg serve', figure: (amount / theirs) * 1000 },
    goal: { of: 'ratio', limit: 0.98, least: true } as const,
  });
  return [
    { part: 'c', what: `borg create, ${megabytes} MB incompressible`, unit: 'MB/s', ...rate(large, megabytes) },
    { part: 'c', what: `borg create, ${files} small files, per second`, unit: '', ...rate(small, files) },
    { part: 'c', what: `borg extract, ${megabytes} MB`, unit: 'MB/s', ...rate(extract, megabytes) },
  ];
};

const QUIET = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };

const writeLarge = async (folder: string, megabytes: number): Promise<void> => {
  await mkdir(folder, { recursive: true });
  const stream = createWriteStream(join(folder, 'file'));
  for (let done = 0; done < megabytes; done += 1) {
    if (!stream.write(randomBytes(1_000_000))) await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
};

const writeSmall = async (folder: string, files: number): Promise<void> => {
  for (let index = 0; index < files; index += 1) {
    const inside = join(folder, String(index % 100));
    if (index < 100) await mkdir(inside, { recursive: true });
    await writeFile(join(inside, String(index)), randomBytes(2000));
  }
};
