import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { documentedShell, filledIn } from './harness/documented.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { anotherClient, client as host, ownServer, server } from './harness/own-server.ts';
import { open, requests } from './harness/raw-borg.ts';
import { contents } from './harness/repository-files.ts';
import { updated } from './harness/updated.ts';

/** These tests run the commands that an operator reads on this page. */
const PAGE = 'docs/append-only.md';

let operator: Client;
let kept: ReadonlyMap<string, string>;
let goodTransaction: number;
const letter = randomBytes(500_000);

ownServer({}, async () => {
  operator = await anotherClient();
  await writeKeyFile(server, 'repos-appendonly/db01', host.key);
  await grant(server, 'admins/ops', operator.key);
  await mkdir(join(host.home, 'documents'));
  await writeFile(join(host.home, 'documents/letter'), letter);
});

const folder = () => join(server.repos, 'db01');
const transactions = async (): Promise<readonly number[]> =>
  [...(await readFile(join(folder(), 'transactions'), 'utf8')).matchAll(/^transaction (\d+),/gm)].map((match) =>
    Number(match[1]),
  );

/** Holds that no segment of `kept` is gone, and that each has the same bytes. There may be more segments now. */
const expectKept = async (): Promise<void> => {
  const now = await contents(join(folder(), 'data'));
  expect([...kept].filter(([path, digest]) => now.get(path) !== digest)).toEqual([]);
};

test('an append-only account makes its repository and fills it', async () => {
  const db01 = host.url('db01');
  await host.borg(['init', '--encryption', 'repokey-blake2', db01]);
  for (const archive of ['monday', 'tuesday']) {
    await writeFile(join(host.home, 'documents/news'), randomBytes(300_000));
    await host.borg(['create', `${db01}::${archive}`, 'documents'], { cwd: host.home });
  }
  kept = await contents(join(folder(), 'data'));
  expect(kept.size).toBeGreaterThan(2);
  goodTransaction = (await transactions()).at(-1) ?? 0;
  expect(goodTransaction).toBeGreaterThan(0);
});

test('an intruder’s deletions seem to succeed, and every byte is still there', async () => {
  const db01 = host.url('db01');
  const borg = (...words: string[]) => host.borg(words, { cwd: host.home });
  await borg('delete', `${db01}::monday`);
  await expectKept();
  await borg('recreate', '--exclude', '*/letter', `${db01}::tuesday`);
  await expectKept();
  await borg('create', `${db01}::rubbish`, 'documents/news');
  await borg('prune', '--keep-last', '1', db01);
  await expectKept();
  await borg('compact', '--threshold', '0', '--cleanup-commits', db01);
  await expectKept();
  expect((await borg('list', '--short', db01)).stdout).toBe('rubbish\n');
});

test('what cannot be undone is refused: to delete the whole repository, to repair it, and what only a raw client sends', async () => {
  const db01 = host.url('db01');
  const YES = { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES', BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES' };
  for (const words of [
    ['delete', db01],
    ['check', '--repair', db01],
    ['--remote-path', 'borg serve --restrict-to-path /repos --', 'delete', db01],
    ['--remote-path', 'borg --append-only=no', 'delete', db01],
  ]) {
    const refused = await host.borg(words, { env: YES, reject: false });
    expect({ words, failed: refused.exitCode !== 0 }).toEqual({ words, failed: true });
    await expectKept();
  }
  // Creating what exists is refused, and must not leave a session behind that may do more than append.
  for (const stream of [
    requests(open('/repos/db01', { exclusive: true }), ['destroy', {}]),
    requests(open('/repos/db01', { exclusive: true, create: true }), ['destroy', {}]),
    requests(open('/repos/db01', { exclusive: true, create: true }), open('/repos/db01', { exclusive: true }), [
      'destroy',
      {},
    ]),
    requests(open('/repos/db01', { exclusive: true }), ['commit', { compact: true, threshold: 0 }]),
    requests(open('/repos/db01', { create: true }), ['commit', { compact: true, threshold: 0 }]),
    requests(open('/repos/db01', { create: true }), open('/repos/alice'), ['destroy', {}]),
    requests(open('/repos/db01', { exclusive: true }), ['check', { repair: true, save_space: false }]),
  ]) {
    const { stdout } = await host.ssh('db01', ['borg', 'serve'], { input: stream, reject: false });
    expect(stdout.length).toBeGreaterThan(0);
    await expectKept();
  }
});

test('the operator gets the repository back as it was before the deletions, and the original stays untouched', async () => {
  // The operator looks on the server at what the intruder has left.
  await server.exec(['list', 'db01'], { env: { BORG_PASSPHRASE: 'borgserver' } });
  // Last, the intruder locks the operator out of the data.
  await host.borg(['key', 'change-passphrase', host.url('db01')], { env: { BORG_NEW_PASSPHRASE: 'mine now' } });
  await expectKept();

  const copy = documentedShell(PAGE, 'cp -al');
  const goBack = filledIn(documentedShell(PAGE, 'for segment in'), { 5: String(goodTransaction) });
  await server.exec(['sh', '-c', `set -eu\ncd /\n${copy}\n${goBack}`]);
  const undone = operator.url('ops', 'db01-undone');
  // This client has never seen the newer state. It stands for the operator's machine without its cache and security folder.
  const fresh = await createClient(server);
  try {
    const options = { cwd: fresh.home, key: operator.key };
    const [former = ''] = await readdir(join(folder(), 'former-keys'));
    const [told] =
      (await server.exec(['borgserver', 'doctor'], { reject: false })).stdout.match(
        /borgserver borg key import .*?;/,
      ) ?? [];
    expect(told).toBe(`borgserver borg key import db01 /repos/db01/former-keys/${former};`);
    await server.exec([
      'borgserver',
      'borg',
      'key',
      'import',
      'db01-undone',
      `/repos/db01-undone/former-keys/${former}`,
    ]);
    await fresh.borg(['check', '--verify-data', undone], options);
    expect((await fresh.borg(['list', '--short', undone], options)).stdout).toBe('monday\ntuesday\n');
    await fresh.borg(['extract', `${undone}::monday`], options);
    expect(await readFile(join(fresh.home, 'documents/letter'))).toEqual(letter);
  } finally {
    await fresh.cleanup();
  }
  await expectKept();
  const damaged = await contents(folder());

  // The copy takes the place of the damaged repository. Every borg that has seen the damaged one has to forget it, the server's own too.
  const passphrase = { env: { BORG_PASSPHRASE: 'borgserver' }, reject: false };
  const listedHere = () => server.exec(['list', '--short', 'db01'], passphrase);
  const id = /^id = ([0-9a-f]{64})$/m.exec(await readFile(join(folder(), 'config'), 'utf8'))?.[1] ?? '';
  await server.exec(['sh', '-c', `set -eu\ncd /\n${documentedShell(PAGE, 'mv -T repos/db01')}`]);
  await updated(server);
  expect((await listedHere()).exitCode).not.toBe(0);
  const { uid } = await stat(folder());
  const forgetHere = filledIn(documentedShell(PAGE, 'repos/.borgserver/borg'), { UID: String(uid), ID: id });
  await server.exec(['sh', '-c', `set -eu\ncd /\n${forgetHere}`]);
  expect((await listedHere()).stdout).toBe('monday\ntuesday\n');

  const db01 = host.url('db01');
  expect((await host.borg(['list', db01], { reject: false })).exitCode).not.toBe(0);
  const [dropCache = '', forget = ''] = documentedShell(PAGE, 'delete --cache-only').trim().split('\n');
  expect(dropCache).toBe('borg delete --cache-only ssh://db01@HOST:2222/repos/db01');
  await host.borg(['delete', '--cache-only', db01]);
  await execa('sh', ['-c', filledIn(forget, { ID: id })], { env: { HOME: host.home } });

  // A counter must not be used twice. So neither the client nor the repository may forget how far it has counted.
  const nonce = async (path: string): Promise<bigint> => BigInt(`0x${(await readFile(path, 'utf8')).trim()}`);
  const [ofHost, ofServer] = [join(host.home, '.config/borg/security', id, 'nonce'), join(folder(), 'nonce')];
  const highest = await nonce(ofHost);
  expect(await nonce(ofServer)).toBeGreaterThanOrEqual(await nonce(join(server.repos, 'db01-damaged/nonce')));
  await host.borg(['create', `${db01}::wednesday`, 'documents'], { cwd: host.home });
  expect(await nonce(ofHost)).toBeGreaterThan(highest);
  expect(await nonce(ofServer)).toBeGreaterThan(highest);
  // The new backup writes nothing into the damaged repository that is kept.
  expect(await contents(join(server.repos, 'db01-damaged'))).toEqual(damaged);
});
