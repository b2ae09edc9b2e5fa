import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { indexWithRoom } from '../image/large-repository.ts';
import { grant } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { open, requests } from './harness/raw-borg.ts';
import { connected, known, type OpenConnection, openConnection } from './harness/sessions.ts';

ownServer({ env: { SESSIONS_PER_ACCOUNT: '3' } });

const REFUSED = 'This account has 3 sessions on this server already, and may not have more at once';

/** Opens sessions of borg that wait for the client, and resolves once the server knows each of them and its process. */
const hold = async (account: string, count: number): Promise<readonly OpenConnection[]> => {
  const held = Array.from({ length: count }, () =>
    openConnection(client, account, client.key, { flags: [], words: ['borg', 'serve'] }),
  );
  await until(`${count} sessions with borg`, async () => {
    const sessions = await known(server, account, client.key, count);
    return sessions.every(({ borg }) => borg.length === 1);
  });
  return held;
};

const leave = async (held: readonly OpenConnection[]): Promise<void> => {
  for (const each of held) each.ssh.stdin?.end();
  await Promise.all(held.map((each) => each.ssh));
};

/** An admin's URL of a repository is not the same as its account's. */
const listing = (url: string) =>
  client.borg(['list', url], { reject: false, env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } });

test('an account with as many sessions as it may have is told so, and keeps out neither others nor admins of the same uid', async () => {
  for (const path of ['repos/busy', 'repos/calm', 'admins/alice', 'admins/bob']) await grant(server, path, client.key);
  const [busy, calm] = [client.url('busy'), client.url('calm')];
  for (const url of [busy, calm]) await client.borg(['init', '--encryption', 'none', url]);

  const held = await hold('busy', 3);
  const refused = await listing(busy);
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain(`Remote: ${REFUSED}`);
  expect(refused.stderr).not.toContain('Traceback');
  expect((await listing(calm)).exitCode).toBe(0);
  expect((await listing(client.url('alice', 'busy'))).exitCode).toBe(0);

  const admin = await hold('alice', 3);
  expect((await listing(client.url('alice', 'calm'))).stderr).toContain(REFUSED);
  expect((await listing(client.url('bob', 'calm'))).exitCode).toBe(0);

  expect([...held, ...admin].map((each) => each.over())).not.toContain(true);
  await leave(held.slice(0, 1));
  expect((await listing(busy)).exitCode).toBe(0);
  await leave([...held.slice(1), ...admin]);
});

test('each further session of an account stands back behind others, for the CPU and where memory runs out', async () => {
  for (const path of ['repos/many', 'repos/few']) await grant(server, path, client.key);
  const held: OpenConnection[] = [];
  const pids: string[] = [];
  for (const [account, count] of [...[['few', 1]], ...[1, 2, 3].map((each) => ['many', each])] as [string, number][]) {
    held.push(openConnection(client, account, client.key, { flags: [], words: ['borg', 'serve'] }));
    const pid = await until(`session ${count} of ${account}`, async () => {
      const borg = (await known(server, account, client.key, count)).flatMap((each) => each.borg.map(String));
      return borg.length === count && borg.find((each) => !pids.includes(each));
    });
    pids.push(pid);
  }
  const standing = (): Promise<string[]> =>
    Promise.all(
      pids.map(async (pid) => {
        const files = ['stat', 'oom_score_adj', 'autogroup'].map((name) => `/proc/${pid}/${name}`);
        const { stdout } = await server.look(['cat', ...files]);
        const [stat = '', adjustment = '', autogroup = ''] = stdout.trim().split('\n');
        // proc_pid_stat(5), field 19; sched(7), autogroup.
        const nice = stat.replace(/^.*\) /, '').split(' ')[16];
        return `nice ${nice}, its group ${autogroup.replace(/.* /, '')}, ended first by ${adjustment}`;
      }),
    );
  await expect
    .poll(standing)
    .toEqual([0, 0, 1, 2].map((older) => `nice ${older}, its group ${older}, ended first by ${300 + 2 * older}`));
  await leave(held);
});

test('of sessions that begin in the same instant, as many go on as the account may have', async () => {
  await grant(server, 'repos/crowd', client.key);
  const all = Array.from({ length: 8 }, () =>
    openConnection(client, 'crowd', client.key, { flags: [], words: ['borg', 'serve'] }),
  );
  const over = await until('all but three to be refused', () => {
    const ended = all.filter((each) => each.over());
    return ended.length >= 5 && ended;
  });
  for (const each of over) expect((await each.ssh).stderr).toContain(REFUSED);
  const alive = all.filter((each) => !over.includes(each));
  // They answer. So the server has let them in, and was not just late to refuse them.
  for (const { ssh } of alive) ssh.stdin?.end(requests());
  for (const { ssh } of alive) expect((await ssh).stdout).toContain('server_version');
  expect(alive).toHaveLength(3);
});

test('sessions over one connection are counted like others', async () => {
  await grant(server, 'repos/multiplexed', client.key);
  const path = join(client.home, 'control');
  const master = openConnection(client, 'multiplexed', client.key, { flags: ['-M', '-S', path, '-N'] });
  await until('the multiplexing client', () =>
    access(path).then(
      () => true,
      () => false,
    ),
  );
  const channels = Array.from({ length: 5 }, () =>
    openConnection(client, 'multiplexed', client.key, { flags: ['-S', path], words: ['borg', 'serve'] }),
  );
  const over = await until('two to be refused', () => {
    const ended = channels.filter((each) => each.over());
    return ended.length === 2 && ended;
  });
  for (const each of over) expect((await each.ssh).stderr).toContain(REFUSED);
  expect(master.over()).toBe(false);
  await leave(channels.filter((each) => !over.includes(each)));
  master.ssh.kill();
});

test('connections that open no session are ended beyond the same number, the newest first, and the log says why', async () => {
  for (const path of ['repos/idle', 'repos/other']) await grant(server, path, client.key);
  const idle: OpenConnection[] = [];
  for (let count = 0; count < 5; count += 1) idle.push(await connected(server, client, 'idle', client.key));
  const other = await connected(server, client, 'other', client.key);

  await Promise.all(idle.slice(3).map((each) => each.ended()));
  await known(server, 'idle', client.key, 3);
  expect([...idle.slice(0, 3), other].map((each) => each.over())).toEqual([false, false, false, false]);
  // This line comes a moment later: the server writes it when it has seen that nothing is left.
  const why = /session ended.*idle.*more than 3 connections \(SESSIONS_PER_ACCOUNT\)/;
  await until('the log to say why', async () => why.test(server.log()) || undefined);
  for (const each of [...idle, other]) each.ssh.kill();
});

/** Stores 100,000 objects. They belong to no archive, but the index of the repository has them all the same. */
const fill = async (account: string, path: string): Promise<void> => {
  const puts = Array.from({ length: 100_000 }, () => ['put', { id: randomBytes(32), data: Buffer.from('x') }] as const);
  const commit = ['commit', { save_space: false, compact: false, threshold: 0 }] as const;
  const input = requests(open(path, { exclusive: true }), ...puts, commit);
  const answers = await client.ssh(account, ['borg', 'serve'], { input });
  expect(answers.stdout).not.toContain('exception');
};

test('a repository of 100,000 chunks is used, checked, pruned and compacted within the limits of a session', async () => {
  await grant(server, 'repos/chunks', client.key);
  const chunks = client.url('chunks');
  await client.borg(['init', '--encryption', 'none', chunks]);
  await fill('chunks', '/repos/chunks');
  const data = randomBytes(10_000_000);
  await writeFile(join(client.home, 'data'), data);
  for (const archive of ['first', 'second'])
    await client.borg(['create', `${chunks}::${archive}`, 'data'], { cwd: client.home });
  await client.borg(['check', '--repository-only', chunks]);
  await client.borg(['prune', '--keep-last', '1', chunks]);
  await client.borg(['compact', chunks]);
  await mkdir(join(client.home, 'restored'));
  await client.borg(['extract', `${chunks}::second`], { cwd: join(client.home, 'restored') });
  expect((await readFile(join(client.home, 'restored/data'))).equals(data)).toBe(true);
  await client.borg(['delete', chunks], { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' } });
});

test('a client whose repository needs more memory than a session may have is told so in one line, and everybody else goes on', async () => {
  await server.start({ SESSION_MEMORY: '128M', SESSIONS_PER_ACCOUNT: '3' });
  await client.rememberHost();
  for (const path of ['repos/large', 'repos/small']) await grant(server, path, client.key);
  const [large, small] = [client.url('large'), client.url('small')];
  await writeFile(join(client.home, 'note'), 'a note');
  for (const url of [large, small]) {
    await client.borg(['init', '--encryption', 'none', url]);
    await client.borg(['create', `${url}::first`, 'note'], { cwd: client.home });
  }
  const held = await hold('small', 1);

  indexWithRoom(join(server.repos, 'large'), 160_000_000);
  for (const words of [
    ['list', large],
    ['create', `${large}::second`, 'note'],
  ]) {
    const refused = await client.borg(words, { cwd: client.home, reject: false });
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/this session needs more memory .*SESSION_MEMORY, here 128 MB/);
    expect(refused.stderr).not.toContain('Traceback');
  }
  expect((await readdir(join(server.repos, 'large'))).filter((name) => name.startsWith('lock.'))).toEqual([]);

  await client.borg(['create', `${small}::second`, 'note'], { cwd: client.home });
  expect(held[0]?.over()).toBe(false);
  await leave(held);
});
