import { randomBytes } from 'node:crypto';
import { cp, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListedSnapshot } from '../../src/cli/snapshots.ts';
import type { Transactions } from '../../src/snapshots/transactions.ts';
import type { Client } from './harness/client.ts';
import { documentedShell, filledIn } from './harness/documented.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';
import { ownerships } from './harness/repository-files.ts';
import { startBackup } from './harness/running-backup.ts';
import { updated } from './harness/updated.ts';

type ListedTransaction = Transactions['found'][number];

const letter = randomBytes(700_000);
let careful: Client;
let fleet: Client;
let nas: Client;
/** With the archive a1 alone. */
let first: ListedSnapshot;

ownServer({}, async () => {
  careful = await anotherClient();
  fleet = await anotherClient();
  nas = await anotherClient();
  await grant(server, 'repos/web01', client.key);
  await grant(server, 'repos-appendonly/db01', careful.key);
  await grant(server, 'repos-appendonly/nas', nas.key);
  await writeKeyFile(server, 'repos/fleet', {
    ...fleet.key,
    public: `# borgserver: sub-repositories=yes\n${fleet.key.public}`,
  });
  await updated(server);
  for (const { home } of [client, careful, fleet, nas]) {
    await mkdir(join(home, 'documents'));
    await writeFile(join(home, 'documents/letter'), letter);
  }
});

const run = (words: readonly string[]) => server.exec(['borgserver', ...words], { reject: false });
const undo = (...words: string[]) => run(['undo', ...words]);
const listed = async (name = 'web01'): Promise<readonly ListedSnapshot[]> =>
  JSON.parse((await run(['snapshots', name, '--json'])).stdout);
const take = async (name = 'web01'): Promise<ListedSnapshot> => {
  expect(await run(['snapshots', name, '--take'])).toMatchObject({ exitCode: 0 });
  return (await listed(name))[0] as ListedSnapshot;
};
const urlOf = (of: Client, name: string): string => of.url(name.split('/')[0] ?? '', name);
const init = (of = client, name = 'web01') => of.borg(['init', '--encryption', 'repokey-blake2', urlOf(of, name)]);
const create = (archive: string, of = client, name = 'web01') =>
  of.borg(['create', `${urlOf(of, name)}::${archive}`, 'documents'], { cwd: of.home });
const destroy = async (archive: string, of = client, name = 'web01'): Promise<void> => {
  await of.borg(['delete', `${urlOf(of, name)}::${archive}`]);
  await of.borg(['compact', '--threshold', '0', urlOf(of, name)]);
};

/** Whatever is in the repository goes, without a trace. */
const destroyed = async (name: string, of: Client): Promise<void> => {
  await of.borg(['break-lock', urlOf(of, name)]);
  for (const each of await readdir(join(server.repos, name)))
    await rm(join(server.repos, name, each), { recursive: true });
};

let bases = 0;
/** What a client finds that has not seen the repository before: the archives, with every byte. */
const archivesOf = async (of = client, name = 'web01'): Promise<readonly string[]> => {
  bases += 1;
  const env = { BORG_BASE_DIR: join(of.home, `base-${bases}`) };
  await of.borg(['check', '--verify-data', urlOf(of, name)], { env });
  const { stdout } = await of.borg(['list', '--short', urlOf(of, name)], { env });
  const archives = stdout.split('\n').filter((each) => each !== '');
  for (const archive of archives) {
    const into = join(of.home, `out-${bases}-${archive}`);
    await mkdir(into);
    await of.borg(['extract', `${urlOf(of, name)}::${archive}`], { env, cwd: into });
    expect(await readFile(join(into, 'documents/letter'))).toEqual(letter);
  }
  return archives;
};

/** The lines that are printed for the clients, typed there as they stand. */
const followRecipe = async (text: string, of: Client, url: string): Promise<void> => {
  const lines = text.split('\n').filter((line) => line.startsWith('  '));
  expect(lines.length).toBe(2);
  const base = join(of.home, '.config/borg');
  for (const line of lines) {
    const words = line.trim().replace('REPOSITORY', url).replace('~/.config/borg', base).split(' ');
    if (words[0] === 'borg') await of.borg(words.slice(1));
    else await rm(words[1] ?? '');
  }
};

test('a thief with the full key deletes everything; it is shown, put back with every byte, and the client goes on', async () => {
  await init();
  await create('a1');
  first = await take();
  const before = await ownerships(join(server.repos, 'web01'));
  await destroy('a1');
  const asked = await undo('web01');
  expect(asked).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('add --yes') });
  expect(asked.stdout).toMatch(/^Comes back: [\d.]+ kB in \d segments/m);
  expect(await undo('web01', '--dry-run', '--yes')).toMatchObject({ exitCode: 0 });
  expect((await client.borg(['list', '--short', client.url('web01')])).stdout).toBe('');
  const history = await run(['history', 'web01']);
  expect(history).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining('! most of what was there was deleted'),
  });
  expect(history.stdout).toMatch(/^ {4}by web01 .*from [0-9a-f.:]+$/m);
  expect(history.stdout).toMatch(/deleted \d+ of those before \([\d.]+ kB\); compacted \d+ segments/);
  expect((await run(['status'])).stdout).toContain('LOOKS ATTACKED');
  expect(server.log()).toContain('what was done in a repository looks like an attack');
  expect(await run(['history', 'web01', '--seen'])).toMatchObject({ exitCode: 0 });
  expect((await run(['status'])).stdout).not.toContain('LOOKS ATTACKED');
  const done = await undo('web01', '--yes');
  expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('web01 is as it was ') });
  expect(await archivesOf()).toEqual(['a1']);
  expect(await ownerships(join(server.repos, 'web01'))).toEqual(before);
  expect((await client.borg(['list', client.url('web01')], { reject: false })).exitCode).not.toBe(0);
  await followRecipe(done.stdout, client, client.url('web01'));
  await create('a2');
  expect(await archivesOf()).toEqual(['a1', 'a2']);
  expect(await readdir(join(server.repos, '.borgserver/undo'))).toEqual([]);
  expect(server.log()).toContain('put back as a snapshot has it, as it was asked');
});

test('an undo is undone as it says, and a time means the last snapshot until then', async () => {
  const both = await take();
  await destroy('a2');
  const undone = await undo('web01', '--yes');
  expect(await archivesOf()).toEqual(['a1', 'a2']);
  const [, number = ''] = /borgserver undo web01 --to (\d+)/.exec(undone.stdout) ?? [];
  expect(await undo('web01', '--to', number, '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf()).toEqual(['a1']);
  const time = new Date(both.at).toISOString();
  expect(await undo('web01', '--to', time.replace('.000', ''), '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf()).toEqual(['a1', 'a2']);
});

test('a backup that runs meanwhile is ended, and what it has committed before is kept', async () => {
  const kept = await take();
  const running = await startBackup(server, client, 'web01', 'running', {
    env: { BORG_BASE_DIR: join(client.home, 'base-running') },
  });
  expect(await undo('web01', '--to', String(first.number), '--yes')).toMatchObject({ exitCode: 0 });
  expect((await running.finish()).exitCode).not.toBe(0);
  expect(await archivesOf()).toEqual(['a1']);
  expect(await undo('web01', '--to', String(kept.number), '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf()).toEqual(['a1', 'a2']);
});

test('what cannot be meant is refused, with the cure, and changes nothing', async () => {
  const newest = await take();
  const before = await readdir(join(server.repos, 'web01'));
  const refused = async (...words: string[]): Promise<string> => {
    const { exitCode, stderr } = await undo(...words, '--yes');
    expect(exitCode).toBe(2);
    return stderr;
  };
  expect(await refused('nobody')).toContain('nobody has no snapshot');
  expect(await refused('../web01')).toContain('is no repository');
  expect(await refused('web01', '--to', '999')).toContain('`borgserver snapshots web01` lists them');
  expect(await refused('web01', '--to', 'yesterday')).toContain('a time such as');
  expect(await refused('web01', '--to', '2000-01-01T00:00Z')).toContain('has no such snapshot');
  expect(await refused('web01', '--to', String(newest.number))).toContain('is the present state');
  expect(await readdir(join(server.repos, 'web01'))).toEqual(before);
});

test('a thief makes another repository in its place: that needs a word of its own, and the former one comes back', async () => {
  const kept = await take();
  const yes = { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' };
  await client.borg(['delete', client.url('web01')], { env: yes });
  await client.borg(['init', '--encryption', 'none', client.url('web01')], {
    env: { BORG_BASE_DIR: join(client.home, 'base-thief') },
  });
  const refused = await undo('web01', '--to', String(kept.number), '--yes');
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--other-repository') });
  const done = await undo('web01', '--to', String(kept.number), '--yes', '--other-repository');
  expect(done).toMatchObject({ exitCode: 0 });
  expect(await archivesOf()).toEqual(['a1', 'a2']);
});

test('a repository whose folder the operator has removed comes back into the new one', async () => {
  await rm(join(server.repos, 'web01'), { recursive: true });
  expect(await undo('web01', '--yes')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('type update-borgusers'),
  });
  await server.exec(['update-borgusers'], { reject: false });
  expect(await undo('web01', '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf()).toEqual(['a1', 'a2']);
});

test('a thief of an append-only key replaces the key and deletes; the former key opens everything again', async () => {
  await init(careful, 'db01');
  for (const archive of ['c1', 'c2']) {
    await create(archive, careful, 'db01');
    await take('db01');
  }
  const url = careful.url('db01');
  await careful.borg(['delete', url, 'c1', 'c2']);
  await careful.borg(['key', 'change-passphrase', url], { env: { BORG_NEW_PASSPHRASE: 'mine now' } });
  const history = await run(['history', 'db01']);
  expect(history.stdout).toContain('! an append-only client deleted what stood there');
  expect(history.stdout).toContain('! the key was replaced');
  const done = await undo('db01', '--yes');
  expect(done.stdout).toContain('The key comes back, too');
  expect(done).toMatchObject({ exitCode: 0 });
  expect(await archivesOf(careful, 'db01')).toEqual(['c1', 'c2']);
  expect(await readdir(join(server.repos, 'db01/former-keys'))).toHaveLength(1);
});

test('a thief of an append-only key deletes what no snapshot has alone; it goes back to the transaction, and the client goes on', async () => {
  const listTransactions = async (...words: string[]): Promise<readonly ListedTransaction[]> =>
    JSON.parse((await run(['history', 'nas', '--transactions', '--json', ...words])).stdout);
  const url = nas.url('nas');
  const goBack = (...words: string[]) => undo('nas', '--to-transaction', ...words);
  await init(nas, 'nas');
  for (const archive of ['n1', 'n2', 'n3']) await create(archive, nas, 'nas');
  const [good] = await listTransactions();
  const to = String(good?.transaction);
  expect(await goBack(to, '--yes')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('its present transaction'),
  });
  await nas.borg(['delete', url, 'n1', 'n2', 'n3']);
  await create('rubbish', nas, 'nas');
  expect((await nas.borg(['list', '--short', url])).stdout).toBe('rubbish\n');
  const shown = await run(['history', 'nas', '--transactions']);
  expect(shown).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(new RegExp(`^${to} +2.*Z`, 'm')) });
  expect(await listTransactions()).toContainEqual({ ...good, whole: true });

  for (const [words, why] of [
    [['31x'], 'takes the number of a transaction'],
    [[to, '--to', '1'], 'exclude each other'],
    [['4000000000'], 'has no such transaction'],
    [['0'], 'no transaction has this number'],
  ] as const)
    expect(await goBack(...words, '--yes')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(why) });
  const asked = await goBack(to);
  expect(asked).toMatchObject({ exitCode: 1, stdout: expect.stringContaining(`TRANSACTION ${to}`) });
  expect(asked.stdout).toMatch(/^Goes: {7}[\d.]+ kB in \d+ segments; it stays in snapshot \d+/m);
  expect((await nas.borg(['list', '--short', url])).stdout).toBe('rubbish\n');

  const done = await goBack(to, '--yes');
  expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`(transaction ${to})`) });
  expect(done.stderr).toContain(`looks at every byte of transaction ${to}`);
  expect(await archivesOf(nas, 'nas')).toEqual(['n1', 'n2', 'n3']);
  expect((await nas.borg(['list', url], { reject: false })).exitCode).not.toBe(0);
  await followRecipe(done.stdout, nas, url);
  await create('n4', nas, 'nas');
  expect(await archivesOf(nas, 'nas')).toEqual(['n1', 'n2', 'n3', 'n4']);
  expect(await listTransactions()).toContainEqual(expect.objectContaining({ transaction: good?.transaction }));
  expect(await readdir(join(server.repos, '.borgserver/undo'))).toEqual([]);
  expect(server.log()).toContain('put back as it was at a transaction, as it was asked');
  const history = await run(['history', 'nas']);
  expect(history.stdout).toContain(`this server (undo to transaction ${to})`);

  const [, former = ''] = /borgserver undo nas --to (\d+)/.exec(done.stdout) ?? [];
  expect(await undo('nas', '--to', former, '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf(nas, 'nas')).toEqual(['rubbish']);
  // Without an index the next session makes one.
  const unchecked = await goBack(to, '--yes', '--no-check');
  expect(unchecked).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('It has no index yet') });
  expect(await archivesOf(nas, 'nas')).toEqual(['n1', 'n2', 'n3']);
});

test('where somebody has compacted, the transactions before are refused, and it says what there is instead', async () => {
  const [first] = JSON.parse((await run(['history', 'nas', '--transactions', '--json'])).stdout) as ListedTransaction[];
  await server.exec(['borgserver', 'borg', 'delete', 'nas', 'n1', 'n2'], { env: { BORG_PASSPHRASE: 'borgserver' } });
  // What the thief has done before was put back, and nobody has said that it was seen.
  for (let times = 0; times < 2; times += 1) await run(['history', 'nas', '--seen']);
  await server.exec(['borgserver', 'borg', 'compact', '--threshold', '0', 'nas']);
  const refused = await undo('nas', '--to-transaction', String(first?.transaction), '--yes');
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('somebody has compacted since') });
  expect(refused.stderr).toContain('`borgserver snapshots nas` shows what else there is');
  expect((await run(['history', 'nas', '--transactions'])).stdout).toContain('compacted since');
});

test('a repository that is not append-only names no transactions', async () => {
  expect(await run(['history', 'web01', '--transactions'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('it is not append-only, or never was'),
  });
});

test('one repository of several, also where its folder is gone, and the others stay as they are', async () => {
  for (const name of ['fleet/one', 'fleet/two']) {
    await init(fleet, name);
    await create('f1', fleet, name);
    await take(name);
  }
  await create('f2', fleet, 'fleet/two');
  const yes = { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' };
  await fleet.borg(['delete', fleet.url('fleet', 'fleet/one')], { env: yes });
  expect(await readdir(join(server.repos, 'fleet'))).toEqual(['two']);
  const history = await run(['history', 'fleet/one']);
  expect(history).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('! the repository is gone') });
  expect(await undo('fleet/one', '--yes')).toMatchObject({ exitCode: 0 });
  expect(await archivesOf(fleet, 'fleet/one')).toEqual(['f1']);
  expect(await archivesOf(fleet, 'fleet/two')).toEqual(['f1', 'f2']);
});

test('what would go with the folder is told, and nothing is changed', async () => {
  // The account kept one repository, and has several now.
  await rm(join(server.repos, '.borgserver/snapshots/fleet/+one'), { recursive: true, force: true });
  const snapshots = join(server.repos, '.borgserver/snapshots/fleet');
  const [kept = ''] = (await readdir(join(snapshots, '+two'))).filter((each) => /^\d/.test(each));
  await cp(join(snapshots, '+two', kept), join(snapshots, kept), { recursive: true });
  const refused = await undo('fleet', '--yes', '--other-repository');
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('would take them away: one, two') });
  expect((await readdir(join(server.repos, 'fleet'))).sort()).toEqual(['one', 'two']);
});

test('where no snapshots are taken any more, what was there is put aside, and told', async () => {
  await create('a3');
  await writeKeyFile(server, 'repos/web01', {
    ...client.key,
    public: `# borgserver: snapshots=no\n${client.key.public}`,
  });
  await updated(server);
  await client.borg(['delete', `${client.url('web01')}::a3`]);
  const done = await undo('web01', '--yes');
  expect(done.stdout).toContain('The present state has no snapshot');
  const [, folder = ''] = /What was there until now is in (\/repos\/\S+\/tree)/.exec(done.stdout) ?? [];
  expect(await readdir(folder.replace('/repos', server.repos))).toContain('config');
});

test('where an undo cannot be done, the commands of the page put a snapshot back', async () => {
  const [kept] = await listed('db01');
  await destroyed('db01', careful);
  const lines = documentedShell('docs/snapshots.md', 'cp -r repos').split('\n').slice(1, 6).join('\n');
  const { uid } = await lstat(join(server.repos, 'db01'));
  const snapshot = `${kept?.number}@${new Date(kept?.at ?? 0).toISOString().replace('.000', '')}`;
  const typed = filledIn(lines.replaceAll('7@2026-11-20T03:00:00Z', snapshot), { web01: 'db01', 10001: String(uid) });
  await server.exec(['sh', '-c', `set -eu\ncd /\n${typed}`]);
  expect(await archivesOf(careful, 'db01')).toEqual(['c1', 'c2']);
  expect((await run(['doctor'])).stdout).toMatch(/^ok +owners/m);
});
