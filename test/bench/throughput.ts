import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { type Contender, type Contenders, PLAIN, TITLES } from './contenders.ts';
import { inTurn, median, type Row, timed } from './measure.ts';

const ROUNDS = 6;

/** (c) Throughput of borg, beside the plain server. */
export const benchThroughput = async (
  { plain, own }: Contenders,
  { megabytes, files }: { readonly megabytes: number; readonly files: number },
): Promise<Row[]> => {
  const all = [plain, ...own];
  const { home } = plain.client;
  const source = join(home, 'source');
  await writeLarge(join(source, 'large'), megabytes);
  await writeSmall(join(source, 'small'), files);
  const borg = ({ client, env }: Contender, words: readonly string[]) => client.borg(words, { env, cwd: home });

  type Words = (url: string, round: number) => readonly string[];
  const measure = (words: Words, after?: Words) =>
    inTurn(all, ROUNDS, async (each, round) => {
      const took = await timed(() => borg(each, words(each.url, round)));
      if (after) await borg(each, after(each.url, round));
      return took;
    });
  const create =
    (name: string): Words =>
    (url, round) => ['create', '-C', 'none', '--files-cache=disabled', `${url}::${name}${round}`, `source/${name}`];
  const drop =
    (name: string): Words =>
    (url, round) => ['delete', ...(name === 'large' ? ['--force'] : []), `${url}::${name}${round}`];

  const large = await measure(create('large'), drop('large'));
  const small = await measure(create('small'), drop('small'));
  for (const each of all) await borg(each, create('large')(each.url, 99));
  const extract = await measure((url) => ['extract', '--dry-run', `${url}::large99`]);
  await rm(source, { recursive: true });
  const rows = (what: string, unit: 'MB/s' | '', found: typeof large, amount: number): Row[] => {
    const rate = (each: Contender): number => (amount / median(found(each))) * 1000;
    return own.map((each) => ({
      ...{ part: 'c', what: `${what}, ${TITLES[each.name]}`, unit, ours: rate(each) },
      ...{ beside: { what: PLAIN, figure: rate(plain) }, goal: { of: 'ratio', limit: 0.98, least: true } },
    }));
  };
  return [
    ...rows(`borg create, ${megabytes} MB incompressible`, 'MB/s', large, megabytes),
    ...rows(`borg create, ${files} small files, per second`, '', small, files),
    ...rows(`borg extract, ${megabytes} MB`, 'MB/s', extract, megabytes),
  ];
};

/** Writes a file that cannot be compressed, in pieces of random bytes. */
export const writeLarge = async (folder: string, megabytes: number): Promise<void> => {
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
