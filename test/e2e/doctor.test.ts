import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { holdLock } from './harness/held-lock.ts';
import { IMAGE } from './harness/image.ts';
import { BASE_ENVIRONMENT } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { run } from './harness/program.ts';
import { ownerships } from './harness/repository-files.ts';
import { onlyOn } from './harness/server.ts';
import { updated } from './harness/updated.ts';

ownServer({}, async () => {
  await writeFile(join(client.home, 'letter'), 'Dear Sir or Madam');
  for (const path of ['repos/web01', 'repos/db01', 'repos-appendonly/mail01', 'admins/alice'])
    await writeFile(join(server.sshkeys, path), `${client.key.public}\n`);
  await updated(server);
  for (const name of ['web01', 'db01']) {
    await client.borg(['init', '-e', 'repokey', client.url(name)]);
    await client.borg(['create', `${client.url(name)}::first`, 'letter'], { cwd: client.home });
  }
});

type Line = { level: string; topic: string; message: string; cure: string | null };

const doctor = async (...words: string[]) => {
  const { stdout, exitCode, stderr } = await server.exec(['borgserver', 'doctor', '--json', ...words], {
    reject: false,
  });
  const lines: Line[] = JSON.parse(stdout);
  return { lines, exitCode, stderr, wrong: lines.filter(({ level }) => level !== 'ok') };
};
const about = (lines: readonly Line[], topic: string) => lines.filter((line) => line.topic === topic);

test('a server that is well has only good lines, one for each topic', async () => {
  const { lines, wrong } = await doctor();
  // alice's key opens an append-only account, too; and the machine that runs the tests may be short of space.
  expect(wrong.filter(({ topic }) => !['keys', 'space', 'inotify', 'own name', 'inodes'].includes(topic))).toEqual([]);
  const topics = new Set(lines.map(({ topic }) => topic));
  for (const topic of [
    'owners',
    'clock',
    'own name',
    'server',
    'host keys',
    'session host',
    'sshd',
    'locks',
    'accounts',
  ])
    expect(topics).toContain(topic);
  expect(about(lines, 'sshd')).toHaveLength(3);
  // What doctor says without Docker is tested in without-docker, too.
  expect(about(lines, 'mounts')).toHaveLength(server.target === 'container' ? 2 : 0);
  expect(lines.filter(({ level, cure }) => (level === 'ok') !== (cure === null))).toEqual([]);
});

test('a repository that borg does not open is shown as damaged at once, and each printed cure brings it back', async () => {
  const file = (name: string) => join(server.repos, 'db01', name);
  const integrity = (await readdir(file('.'))).find((name) => name.startsWith('integrity.')) ?? '';
  const list = () => client.borg(['list', '--short', client.url('db01')], { reject: false });
  const status = () => server.exec(['borgserver', 'status'], { reject: false });
  const spoils = {
    'is empty or cut off': () => truncate(file(integrity), 20),
    'config is missing': () => rename(file('config'), file('config.old')),
    'may not read and write config': () => chmod(file('config'), 0o040),
  };
  for (const [what, spoil] of Object.entries(spoils)) {
    await spoil();
    expect((await list()).exitCode).toBe(2);
    expect(await status()).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(`db01 .*DAMAGED: .*${what}`) });
    const told = about((await doctor()).wrong, 'repositories').find(({ message }) =>
      message.startsWith('db01 is damaged'),
    );
    expect(told).toMatchObject({ level: 'error', message: expect.stringContaining(what) });
    const cured = await server.exec(['sh', '-c', told?.cure ?? 'false'], { reject: false });
    if (!told?.cure?.includes('--fix')) expect(cured).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await list()).stdout).toBe('first\n');
    expect((await status()).stdout).not.toContain('DAMAGED');
  }
});

test('a private host key that others can read is reported', async () => {
  const key = join(server.sshkeys, 'host/ssh_host_rsa_key');
  await chmod(key, 0o644);
  expect(about((await doctor()).wrong, 'host keys')).toMatchObject([
    { level: 'warning', cure: expect.stringContaining('chmod 600 /') },
  ]);
  await chmod(key, 0o600);
});

onlyOn('container', () =>
  test('volumes for each role folder are enough; host keys without one are lost', async () => {
    const look = async (...parts: string[]): Promise<readonly string[]> => {
      const volumes = [...parts.map((part) => `sshkeys/${part}`), 'repos'].flatMap((path) => [
        '-v',
        `${join(server.repos, '..', path)}:/${path}`,
      ]);
      const words = ['run', '--rm', ...volumes, IMAGE, 'sh', '-c'];
      // Host keys as a start makes them where there is no volume.
      const script = 'mkdir -p /sshkeys/host; touch /sshkeys/host/ssh_host_ed25519_key; borgserver doctor --json';
      const { stdout } = await run('docker', [...words, script], BASE_ENVIRONMENT, { reject: false });
      return about(JSON.parse(stdout), 'mounts').map(({ level, message }) => `${level}: ${message}`);
    };
    const wrong = 'lies inside the container, and is lost with it';
    const unwitnessed =
      'warning: a start without the disk of /repos would not be noticed: /sshkeys/host/known-repositories.json is not kept';
    expect(await look('repos', 'repos-appendonly', 'admins', 'host')).toEqual([
      'ok: /sshkeys is in volumes of its own',
      'ok: /repos is in volumes of its own',
    ]);
    expect(await look('repos', 'admins')).toEqual([
      'ok: /repos is in volumes of its own',
      `error: /sshkeys/host ${wrong}`,
      unwitnessed,
    ]);
    expect(await look()).toEqual(['ok: /repos is in volumes of its own', `error: /sshkeys ${wrong}`, unwitnessed]);
  }),
);

test('files of root in a repository are found, and repaired without following a link', async () => {
  const outside = join(server.repos, '../outside');
  await writeFile(outside, 'not to be touched');
  await chown(outside, 0, 0);
  await chmod(outside, 0o600);
  const path = join(server.repos, 'web01');
  const [index = ''] = (await readdir(path)).filter((name) => name.startsWith('index.'));
  await chown(join(path, index), 0, 0);
  await chmod(join(path, 'config'), 0o600);
  await chmod(join(path, 'data/0'), 0o700);
  await symlink('../../outside', join(path, 'link'));

  const { wrong, exitCode } = await doctor();
  expect(exitCode).toBe(2);
  const [line] = about(wrong, 'owners');
  expect(line).toMatchObject({ level: 'error', cure: 'borgserver doctor --fix' });
  expect(line?.message).toMatch(/^web01: 4 entries are not its own or closed to it, 2 of them root's: /);

  const fixed = await doctor('--fix');
  expect(fixed.stderr).toContain('repaired web01: 4 entries');
  expect(about(fixed.wrong, 'owners')).toEqual([]);
  const uid = (await ownerships(join(server.repos, 'web01'))).map((entry) => entry.uid);
  expect(new Set(uid).size).toBe(1);
  expect((await ownerships(join(server.repos, '..'))).find((entry) => entry.path === 'outside')).toMatchObject({
    uid: 0,
    mode: '600',
  });
  await rm(join(path, 'link'));
  await rm(outside);
  await client.borg(['create', `${client.url('web01')}::second`, 'letter'], { cwd: client.home });
});

test('on a terminal a repair shows how far it is, and at the end only what it did', async () => {
  await chown(join(server.repos, 'db01/config'), 0, 0);
  const terminal = await server.terminal(['borgserver', 'doctor', '--fix'], { reject: false });
  const shown = stripVTControlCharacters(terminal.stdout);
  expect(shown).toMatch(/\rlooking through repositories \[\.{24}\] 0\/\d /);
  expect(shown).toMatch(/\rrepairing \[\.{24}\] 0\/1 db01/);
  // A terminal overwrites what stands before the last carriage return of a line.
  const left = shown.split('\r\n').map((line) => line.split('\r').at(-1));
  expect(left).toContain("repaired db01: 1 entry is not its own or closed to it, 1 of them root's: config (0:0, 660)");
  expect(left.filter((line) => line?.includes('] 0/'))).toEqual([]);
});

test('what an admin wrote into a shared repository is no fault', async () => {
  await client.borg(['create', `${client.url('alice', 'db01')}::by-alice`, 'letter'], {
    cwd: client.home,
    env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  });
  const { lines } = await doctor();
  expect(about(lines, 'owners').filter(({ level }) => level !== 'ok')).toEqual([]);
});

test('locks left behind, a quota in config, and repositories without an account are warnings', async () => {
  const held = await holdLock(server, client, 'web01', client.url('web01'));
  await server.exec(['kill', '-9', String(held.pid)]);
  await held.release();
  await mkdir(join(server.repos, 'forgotten'));
  await chown(join(server.repos, 'forgotten'), 54_321, 54_321);
  await server.exec(['config', 'db01', 'storage_quota', '50M']);

  const { wrong } = await doctor();
  expect(about(wrong, 'locks')[0]?.message).toBe('web01 is locked by a process that is gone');
  expect(about(wrong, 'accounts')[0]?.message).toBe('1 repository without an account: forgotten');
  expect(about(wrong, 'quota')[0]).toMatchObject({
    message: 'db01: its config says 50M, which counts, since neither the role nor a key file says anything',
    cure: 'borgserver borg config --delete db01 storage_quota',
  });

  await writeFile(join(server.sshkeys, 'repos/db01'), `# borgserver: quota=70M\n${client.key.public}\n`);
  await updated(server);
  expect(about((await doctor()).wrong, 'quota')[0]).toMatchObject({
    message: 'db01: its config says 50M, but 70M is in force for clients',
    cure: 'borgserver borg config db01 storage_quota 70M',
  });
  await server.exec(['borgserver', 'borg', 'config', 'db01', 'storage_quota', '70M']);
  expect(about((await doctor()).wrong, 'quota')).toEqual([]);
  await writeFile(join(server.sshkeys, 'repos/db01'), `${client.key.public}\n`);
  await updated(server);

  // Each cure helps.
  await server.exec(['break-lock', 'web01']);
  await server.exec(['borgserver', 'borg', 'config', '--delete', 'db01', 'storage_quota']);
  await rm(join(server.repos, 'forgotten'), { recursive: true });
  const after = await doctor();
  for (const topic of ['locks', 'accounts', 'quota']) expect(about(after.wrong, topic)).toEqual([]);
});

test('a repository that is append-only by its own config frees no space: doctor says so, with the command that ends it', async () => {
  await writeFile(join(client.home, 'film'), randomBytes(3_000_000));
  await client.borg(['init', '-e', 'none', '--append-only', client.url('mail01')]);
  await client.borg(['create', `${client.url('mail01')}::film`, 'film'], { cwd: client.home });
  const row = async () => {
    const { stdout } = await server.exec(['borgserver', 'status', '--json'], { reject: false });
    const { repositories } = JSON.parse(stdout);
    return repositories.find(({ name }: { name: string }) => name === 'mail01');
  };
  const codes = async () => (await row()).marks.map(({ code }: { code: string }) => code);
  const maintain = (...words: string[]) =>
    server.exec(['borgserver', 'maintenance', 'mail01', '--', ...words], {
      env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' },
    });
  expect(await codes()).toContain('append-only-config');
  const [line] = about((await doctor()).wrong, 'append-only');
  const cure = line?.cure?.split(';')[0] ?? '';
  expect(cure).toBe('borgserver borg config mail01 append_only 0');
  await maintain('delete', '::film');
  const inVain = await maintain('compact');
  expect(inVain.stderr).toContain(cure);
  expect(inVain.stderr).toContain('freed nothing');
  expect((await server.exec(['compact', 'mail01'])).stderr).toContain(cure);

  await server.exec(cure.split(' '));
  expect((await maintain('compact')).stderr).toMatch(/freed 3(\.\d+)?MB/);
  expect(about((await doctor()).wrong, 'append-only')).toEqual([]);
  expect(await codes()).not.toContain('append-only-config');
});

test('a bad key file is reported with its cure, in the text for a person, too', async () => {
  await writeFile(join(server.sshkeys, 'repos/bad'), 'ssh-ed25519 AAAA\n');
  await server.exec(['update-borgusers'], { reject: false });
  const { stdout, exitCode } = await server.exec(['borgserver', 'doctor'], { reject: false });
  expect(exitCode).toBe(2);
  expect(stdout).toMatch(/^ERROR {4}keys +\/sshkeys\/repos\/bad:1: .+\n +cure: .+$/m);
  expect(stdout).toMatch(/\d+ ok, \d+ warnings?, \d+ errors?\n$/);
});

test('an sshd that lets an account do more than its role is an error', async () => {
  const config = '/run/borgserver/sshd_config.repositories';
  await server.exec(['sh', '-c', `cp ${config} ${config}.right && sed -i 's/ --append-only//' ${config}`]);
  const { wrong, exitCode } = await doctor();
  await server.exec(['sh', '-c', `mv ${config}.right ${config}`]);
  expect(exitCode).toBe(2);
  expect(about(wrong, 'sshd').map(({ message }) => message)).toEqual([
    'borg-appendonly is not restricted as it should be: no --append-only',
  ]);
  // The same for the terms that the session host reads.
  const terms = '/run/borgserver/session-terms.json';
  await server.exec(['sh', '-c', `cp ${terms} ${terms}.right && sed -i 's/,"--append-only"//' ${terms}`]);
  const again = await doctor();
  await server.exec(['sh', '-c', `mv ${terms}.right ${terms}`]);
  expect(about(again.wrong, 'sshd')).toHaveLength(1);
  expect((await doctor()).wrong.filter(({ topic }) => topic === 'sshd')).toEqual([]);
});
