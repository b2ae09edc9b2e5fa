import { randomBytes } from 'node:crypto';
import { readdirSync, statfsSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { holdLock } from './harness/held-lock.ts';
import { grant } from './harness/key-files.ts';
import { onlyOn, type Server, startServer } from './harness/server.ts';
import { mountSmall, unmount } from './harness/small-disk.ts';

let server: Server | undefined;
let client: Client;
const mounted: string[] = [];

afterEach(async () => {
  await client?.cleanup();
  await server?.kill();
  for (const folder of mounted.splice(0)) unmount(folder);
  await server?.cleanup();
  server = undefined;
});

const small = (folder: string, megabytes: number): void => {
  mountSmall(folder, megabytes * 1024);
  mounted.push(folder);
};

// An admin comes to the same repository by another URL.
const ENV = { BORG_PASSPHRASE: 'borgserver', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
const borg = (words: readonly string[]) => client.borg([...words], { cwd: client.home, reject: false, env: ENV });

/** Backs up this many new bytes, which borg can neither compress nor deduplicate. */
const create = async (name: string, archive: string, bytes: number) => {
  await mkdir(join(client.home, 'documents'), { recursive: true });
  await writeFile(join(client.home, 'documents/film'), randomBytes(bytes));
  return borg(['create', `${client.url(name)}::${archive}`, 'documents']);
};

const freeOf = (path: string): number => {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
};

/** Bytes of the segments after the last commit. A file of 17 bytes is a commit and nothing else. */
const unfinishedOf = (repository: string): number => {
  const data = join(repository, 'data');
  const segments = readdirSync(data)
    .flatMap((folder) => readdirSync(join(data, folder)).map((name) => join(data, folder, name)))
    .sort((a, b) => Number(a.split('/').at(-1)) - Number(b.split('/').at(-1)));
  const sizes = segments.map((path) => statSync(path).size);
  return sizes.slice(sizes.lastIndexOf(17) + 1).reduce((sum, size) => sum + size, 0);
};

const segmentsOf = async (repository: string): Promise<number> => {
  const data = join(repository, 'data');
  const paths = readdirSync(data).flatMap((folder) =>
    readdirSync(join(data, folder)).map((name) => join(data, folder, name)),
  );
  return paths.reduce((sum, path) => sum + statSync(path).size, 0);
};

const status = async (running: Server) => {
  const { stdout, exitCode } = await running.exec(['borgserver', 'status'], { reject: false });
  return { stdout, exitCode };
};

const REFUSED = /the server has less than \d+\.\d [MGT]B left and takes no new data; deleting and compacting work/;

// The engine may see other mounts than the tests do.
onlyOn('namespace', () => {
  describe.each(['own', 'shared'])('with IDENTITIES=%s, on a small disk that clients fill', (IDENTITIES) => {
    test('new data are refused before the disk is full, what reads or makes room goes on, and then backups work again', async () => {
      const running = await startServer({ env: { IDENTITIES }, prepare: ({ repos }) => small(repos, 120) });
      server = running;
      client = await createClient(running);
      for (const name of ['web01', 'db01']) {
        await grant(running, `repos/${name}`, client.key);
        await borg(['init', '-e', 'repokey-blake2', client.url(name)]);
      }
      await grant(running, 'repos-appendonly/mail01', client.key);
      await borg(['init', '-e', 'repokey-blake2', client.url('mail01')]);
      expect((await create('mail01', 'first', 1_000_000)).exitCode).toBe(0);
      const whole = freeOf(running.repos);
      let refused = await create('web01', 'archive-0', 9_000_000);
      let kept = 0;
      for (; refused.exitCode === 0 && kept < 20; kept += 1)
        refused = await create('web01', `archive-${kept + 1}`, 9_000_000);
      expect(refused.exitCode).toBe(2);
      expect(refused.stderr).toMatch(REFUSED);
      expect(kept).toBeGreaterThan(4);
      // What did not fit is gone already, and MIN_FREE is free.
      expect(unfinishedOf(join(running.repos, 'web01'))).toBe(0);
      const floor = freeOf(running.repos);
      expect(floor).toBeGreaterThan(whole / 3);

      expect((await create('db01', 'first', 40_000_000)).stderr).toMatch(REFUSED);
      expect(unfinishedOf(join(running.repos, 'db01'))).toBe(0);
      const told = await status(running);
      expect(told.stdout).toMatch(/^\/repos: \d+\.\d MB free[;,] .* \(MIN_FREE\).* new data are refused/im);

      const list = await borg(['list', '--short', client.url('web01')]);
      expect(list).toMatchObject({
        exitCode: 0,
        stdout: Array.from({ length: kept }, (_, i) => `archive-${i}\n`).join(''),
      });
      expect((await borg(['extract', '--dry-run', `${client.url('web01')}::archive-1`])).exitCode).toBe(0);
      expect((await borg(['check', client.url('web01')])).exitCode).toBe(0);
      const lock = await holdLock(running, client, 'web01', client.url('web01'), { env: ENV });
      lock.borg.kill('SIGKILL');
      await lock.borg;
      expect((await borg(['break-lock', client.url('web01')])).exitCode).toBe(0);
      expect(await borg(['delete', `${client.url('web01')}::archive-0`])).toMatchObject({ exitCode: 0 });
      const onServer = ['borgserver', 'maintenance', 'web01', '--', 'delete', '::archive-1'];
      const passphrase = { env: { BORG_PASSPHRASE: 'borgserver' }, reject: false };
      expect(await running.exec(onServer, passphrase)).toMatchObject({ exitCode: 0 });
      expect(await borg(['prune', '--keep-last', '2', client.url('web01')])).toMatchObject({ exitCode: 0 });
      expect(await borg(['compact', client.url('web01')])).toMatchObject({ exitCode: 0 });
      // What is deleted is free once no snapshot has it any more: the server says how.
      const snapshots = (...words: string[]) => running.exec(['borgserver', 'snapshots', 'web01', ...words]);
      await snapshots('--take');
      expect((await status(running)).stdout).toMatch(/^snapshots: \d+ of 3 repositories; the older ones hold \d/m);
      await snapshots('--remove', 'older', '--yes');
      expect(freeOf(running.repos)).toBeGreaterThan(floor + 20_000_000);
      expect((await borg(['check', client.url('web01')])).exitCode).toBe(0);
      expect(await create('web01', 'again', 9_000_000)).toMatchObject({ exitCode: 0 });
      expect(await create('db01', 'again', 9_000_000)).toMatchObject({ exitCode: 0 });
      expect((await status(running)).exitCode).toBe(0);
    });
  });
});

test('below MIN_FREE a client, an admin and the server still make room, and an append-only account still reads', async () => {
  const running = await startServer();
  server = running;
  client = await createClient(running);
  await grant(running, 'repos/web01', client.key);
  await grant(running, 'repos-appendonly/mail01', client.key);
  const other = await client.newKey();
  await grant(running, 'admins/alice', other);
  for (const name of ['web01', 'mail01']) {
    await borg(['init', '-e', 'repokey-blake2', client.url(name)]);
    for (const archive of ['a', 'b', 'c', 'd']) expect((await create(name, archive, 1_000_000)).exitCode).toBe(0);
  }
  // More than is free, and less than twice that.
  const floor = Math.round(freeOf(running.repos) * 1.4);
  await running.start({ MIN_FREE: String(floor) });

  for (const name of ['web01', 'mail01']) {
    const refused = await create(name, 'more', 1_000_000);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/the server has less than \d+\.\d GB left and takes no new data; /);
    expect(refused.stderr).not.toContain('Traceback');
    expect((await borg(['list', client.url(name)])).exitCode).toBe(0);
  }
  const alice = (name: string) => client.url('alice', name);
  const init = await client.borg(['init', '-e', 'none', alice('new01')], { key: other, reject: false });
  expect(init.exitCode).toBe(2);
  expect(init.stderr).toContain('takes no new data');

  const before = await segmentsOf(join(running.repos, 'web01'));
  expect(await borg(['delete', `${client.url('web01')}::a`])).toMatchObject({ exitCode: 0 });
  expect(await segmentsOf(join(running.repos, 'web01'))).toBeLessThan(before - 900_000);
  const admin = { key: other, reject: false, env: ENV };
  expect(await client.borg(['delete', `${alice('web01')}::b`], admin)).toMatchObject({ exitCode: 0 });
  expect(await client.borg(['compact', alice('web01')], admin)).toMatchObject({ exitCode: 0 });
  const words = ['borgserver', 'maintenance', 'web01', '--'];
  const passphrase = { env: { BORG_PASSPHRASE: 'borgserver' }, reject: false };
  expect(await running.exec([...words, 'delete', '::c'], passphrase)).toMatchObject({ exitCode: 0 });
  expect(await running.exec([...words, 'compact'], passphrase)).toMatchObject({ exitCode: 0 });
  expect(await borg(['check', client.url('web01')])).toMatchObject({ exitCode: 0 });
  expect((await borg(['list', '--short', client.url('web01')])).stdout).toBe('d\n');

  // To delete makes no room for an append-only account, so it may not take any.
  const kept = await borg(['delete', `${client.url('mail01')}::a`]);
  expect(kept.exitCode).toBe(2);
  expect(kept.stderr).toContain('its operator has to make room');

  const told = await status(running);
  expect(told.exitCode).toBe(1);
  expect(told.stdout).toMatch(/^\/repos: .* free, less than .* \(MIN_FREE\): new data are REFUSED; make room$/m);
  const doctor = await running.exec(['borgserver', 'doctor'], { reject: false, env: { MIN_FREE: String(floor) } });
  expect(doctor.exitCode).toBe(2);
  expect(doctor.stdout).toMatch(/^ERROR +space +.* less than .* \(MIN_FREE\), so new data are refused$/m);

  await running.start({ MIN_FREE: '10M' });
  expect(await create('mail01', 'more', 1_000_000)).toMatchObject({ exitCode: 0 });
});
