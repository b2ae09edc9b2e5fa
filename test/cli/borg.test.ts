import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isKept } from '../../src/accounts/kept-file.ts';
import { readHostId } from '../../src/borg/host-id.ts';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { acquireLease } from '../../src/start/lease.ts';

// Real borg, real uids: run as root, as the server is.
const WEB = 40_001;
const DB = 40_002;

let root: string;
let places: Places;

const env = { PATH: process.env.PATH, BORG_PASSPHRASE: 'secret', BORG_REPO: undefined };
const start = (words: readonly string[], extra: Record<string, string> = {}) =>
  execa(process.execPath, [join(import.meta.dirname, 'run-borg.ts'), root, ...words], {
    env: { ...env, ...extra },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
  });
const borg = (line: string, extra: Record<string, string> = {}) => start(line.split(' '), extra);

/** Resolves once borg has started the program: a signal before that would leave the program running without borg. */
const saysReady = (running: ReturnType<typeof start>): Promise<void> =>
  new Promise((resolve) => {
    running.stdout.on('data', (chunk) => String(chunk).includes('ready') && resolve());
  });

/**
 * Says so once borg, its parent, waits for it: what ends borg before that does not end the command. borg sleeps (proc_pid_status(5)) only when
 * it waits.
 */
const WAITED_FOR = 'until grep -q "^State:.S" /proc/$PPID/status; do sleep 0.05; done; echo ready; exec sleep 600';

const folder = (name: string, uid: number): string => {
  const path = join(places.repos, name);
  mkdirSync(path);
  chownSync(path, uid, uid);
  chmodSync(path, 0o2770);
  return path;
};
/** Everything below a folder that does not belong to the uid and its group. */
const strangers = (path: string, uid: number): readonly string[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const found = lstatSync(join(path, name));
    if (isKept(found)) return found.gid !== uid;
    return found.uid !== uid || found.gid !== uid;
  });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'passthrough-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  mkdirSync(places.repos);
  chmodSync(places.repos, 0o1771);
  mkdirSync(places.run, { recursive: true });
  await installLauncher(places.run, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  folder('web01', WEB);
  folder('db', DB);
  for (const name of ['web01', 'db']) {
    expect(await borg(`init -e repokey ${name}`)).toMatchObject({ exitCode: 0 });
  }
  writeFileSync(join(root, 'hello'), 'hello');
  expect(await borg(`create web01::first ${root}/hello`)).toMatchObject({ exitCode: 0, stderr: '' });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('a borg command at the server', () => {
  test('runs as the owner of the folder: nothing becomes root’s, also not what a check rewrites', async () => {
    const before = lstatSync(join(places.repos, 'web01/config')).ino;
    expect(await borg('check --repository-only web01')).toMatchObject({ exitCode: 0 });
    expect(await borg('config web01 additional_free_space 10M')).toMatchObject({ exitCode: 0 });
    expect(lstatSync(join(places.repos, 'web01/config')).ino).not.toBe(before);
    expect(strangers(join(places.repos, 'web01'), WEB)).toEqual([]);
    expect(lstatSync(join(places.repos, 'web01/config')).mode & 0o777).toBe(0o660);
    expect(lstatSync(join(places.state, 'borg', String(WEB))).mode & 0o777).toBe(0o700);
    expect(strangers(join(places.state, 'borg', String(WEB)), WEB)).toEqual([]);
  });

  test('has only the groups, rights and variables that are meant for it', async () => {
    const shown = await start(
      ['with-lock', 'web01', 'sh', '-c', 'id -u; id -g; id -G; pwd; grep CapEff /proc/self/status; env'],
      {
        BORG_HOST_ID: 'mine',
        BORG_CACHE_DIR: '/tmp/elsewhere',
        BORG_SSHKEYS: 'key',
        TZ: 'Europe/Berlin',
      },
    );
    const [uid, gid, groups, cwd, rights, ...variables] = shown.stdout.split('\n');
    expect([uid, gid, groups, cwd]).toEqual([`${WEB}`, `${WEB}`, `${WEB}`, '/']);
    expect(rights).toMatch(/\t0+$/);
    expect(variables).toContain(`BORG_HOST_ID=${readHostId(places)}`);
    expect(variables).toContain('TZ=Europe/Berlin');
    expect(variables.filter((line) => /^(BORG_CACHE_DIR|BORG_SSHKEYS|SSH_ORIGINAL_COMMAND)=/.test(line))).toEqual([]);
  });

  test('answers as borg does: archives, a key, its own exit codes', async () => {
    expect((await borg('list --short web01')).stdout).toBe('first');
    expect((await borg('list --format {path} web01::first')).stdout).toBe(`${root}/hello`.slice(1));
    expect((await borg('list --short', { BORG_REPO: 'web01' })).stdout).toBe('first');
    expect((await borg('list --short --format {path} ::first', { BORG_REPO: '/repos-typo' })).exitCode).toBe(2);
    expect((await borg('key export web01')).stdout).toContain('BORG_KEY');
    expect(await borg('list web01::absent')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('absent') });
    expect(await borg('list web01', { BORG_PASSPHRASE: 'wrong' })).toMatchObject({ exitCode: 2 });
    expect(await borg(`create web01::second ${root}/absent`)).toMatchObject({ exitCode: 1 });
  });

  test('with all goes through every repository in order, and ends with the worst exit code', async () => {
    folder('empty', 40_003);
    mkdirSync(join(places.repos, 'rooted/data'), { recursive: true });
    const fine = await borg('check --repository-only all');
    expect(fine).toMatchObject({ exitCode: 0, stdout: '=== db\n=== web01' });
    writeFileSync(join(places.repos, 'rooted/config'), '');
    const one = await borg('check --repository-only all');
    expect(one).toMatchObject({ exitCode: 2, stdout: '=== db\n=== rooted\n=== web01' });
    expect(one.stderr).toContain('update-borgusers');
    expect(readdirSync(join(places.repos, 'rooted'))).toEqual(['config', 'data']);
    rmSync(join(places.repos, 'rooted'), { recursive: true });
    const json = await borg('info --json all');
    expect(json.stdout).not.toContain('===');
    expect(json.stderr).toBe('=== db\n=== web01');
  });

  test('with all leaves out a repository whose name borg would read as something else, and names it', async () => {
    // As an admin can make it over ssh. borg reads db::first as an archive of db, and {now} as the time.
    for (const name of ['db::first', 'db{now}', 'x:']) {
      mkdirSync(join(places.repos, name, 'data'), { recursive: true });
      writeFileSync(join(places.repos, name, 'config'), '');
      for (const path of ['', 'data', 'config']) chownSync(join(places.repos, name, path), DB, DB);
    }
    const all = await borg('info all');
    for (const name of ['db::first', 'db{now}', 'x:']) rmSync(join(places.repos, name), { recursive: true });
    expect(all.exitCode).toBe(2);
    expect(all.stdout).toMatch(
      /^=== db\nRepository ID.*^=== db::first\n=== db\{now\}\n=== web01\nRepository ID.*^=== x:$/ms,
    );
    expect(
      all.stderr.match(/^borgserver: left out: .*\n {2}path: .*\/repos\/(db::first|db\{now\}|x:)$/gm),
    ).toHaveLength(3);
    expect(await borg('info all')).toMatchObject({ exitCode: 0 });
  });

  test('with a typo names similar repositories, and makes no folder', async () => {
    const typo = await borg('list wep01');
    expect(typo).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('near: web01') });
    expect(await borg('init -e none web02')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('/sshkeys/repos'),
    });
    expect(await borg('list /repos-elsewhere')).toMatchObject({ exitCode: 2 });
    for (const name of ['wep01', 'web02']) expect(existsSync(join(places.repos, name))).toBe(false);
  });

  test('never goes through a link, nor into a folder of root’s', async () => {
    symlinkSync(join(places.repos, 'web01'), join(places.repos, 'linked'));
    lchownSync(join(places.repos, 'linked'), WEB, WEB);
    mkdirSync(join(places.repos, 'of-root'));
    expect(await borg('list linked')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('it is a link') });
    expect(await borg('list linked/data')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('it is a link'),
    });
    expect(await borg('init -e none of-root')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('update-borgusers'),
    });
    expect(readdirSync(join(places.repos, 'of-root'))).toEqual([]);
    rmSync(join(places.repos, 'linked'));
    rmSync(join(places.repos, 'of-root'), { recursive: true });
  });

  test('without a repository runs as PUID and leaves no trace', async () => {
    expect(await borg('--version')).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^borg 1\./) });
    expect(await borg('list')).toMatchObject({ exitCode: 2 });
    expect((await borg('--version', { PUID: '1234' })).exitCode).toBe(0);
    expect(existsSync(join(places.state, 'borg/1234'))).toBe(false);
  });

  test('deletes a whole repository and leaves its folder, in which init works again', async () => {
    folder('gone', 40_004);
    const answers = { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' };
    expect(await borg('init -e repokey gone')).toMatchObject({ exitCode: 0 });
    expect(await borg('delete gone', answers)).toMatchObject({
      exitCode: 0,
      stderr: expect.not.stringContaining('Traceback'),
    });
    expect(readdirSync(join(places.repos, 'gone'))).toEqual([]);
    expect(await borg('init -e repokey gone')).toMatchObject({ exitCode: 0 });
    rmSync(join(places.repos, 'gone'), { recursive: true });
  });

  test('hands on a signal and ends as borg does, its lock released', async () => {
    const lock = join(places.repos, 'db/lock.exclusive');
    const running = start(['with-lock', 'db', 'sh', '-c', WAITED_FOR]);
    await saysReady(running);
    expect(existsSync(lock)).toBe(true);
    running.kill('SIGTERM');
    expect((await running).exitCode).toBeGreaterThan(0);
    await expect.poll(() => existsSync(lock)).toBe(false);
  });

  test('with all stops when it is interrupted', async () => {
    const running = start(['with-lock', 'all', 'sh', '-c', WAITED_FOR]);
    await saysReady(running);
    running.kill('SIGTERM');
    const { stdout, exitCode } = await running;
    expect(stdout).toBe('=== db\nready');
    expect(exitCode).toBeGreaterThan(0);
  });

  test('first removes the locks of a dead container, and respects the lock of another host', async () => {
    const lock = join(places.repos, 'db/lock.exclusive');
    const lockedBy = (id: string): void => {
      mkdirSync(lock);
      writeFileSync(join(lock, `${id}.1-0`), '');
      for (const path of [lock, join(lock, `${id}.1-0`)]) chownSync(path, DB, DB);
    };
    lockedBy(readHostId(places));
    const freed = await borg('list --lock-wait 1 db');
    expect(freed).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('dead server') });
    lockedBy('somebody-else');
    expect(await borg('list --lock-wait 1 db')).toMatchObject({ exitCode: 2 });
    expect(existsSync(join(lock, 'somebody-else.1-0'))).toBe(true);
    expect(await borg('break-lock db')).toMatchObject({ exitCode: 0 });
    expect(existsSync(lock)).toBe(false);
  });

  test('refuses to work beside a server of another container, and works beside its own', async () => {
    const lease = await acquireLease(places);
    expect(await borg('list web01')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('docker exec') });
    expect(await borg('--version')).toMatchObject({ exitCode: 0 });
    const server = createServer((socket) => {
      socket.once('data', () => socket.end('{"state":"serving","lastPassFailed":null,"port":22}\n'));
    });
    await new Promise<void>((resolve) => server.listen(join(places.run, 'control.sock'), resolve));
    expect(await borg('list --short web01')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('first') });
    await new Promise((resolve) => server.close(resolve));
    if ('release' in lease) await lease.release();
  });

  test('makes a lock that another account of the repository can wait for', async () => {
    const shown = await start(['with-lock', 'db', 'stat', '-c', '%a', join(places.repos, 'db/lock.exclusive')]);
    expect(shown.stdout).toBe('2770');
  });

  test('is refused with one sentence where there are no repositories', async () => {
    const bare = mkdtempSync(join(tmpdir(), 'bare-'));
    const refused = await execa(process.execPath, [join(import.meta.dirname, 'run-borg.ts'), bare, 'list', 'web01'], {
      reject: false,
    });
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('mount it') });
    expect(readdirSync(bare)).toEqual([]);
    rmSync(bare, { recursive: true });
    expect(readFileSync(join(places.state, 'host-id'), 'utf8')).toContain('borgserver-');
  });
});
