import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../e2e/harness/machine.ts';
import { type PrivateMachine, startPrivateMachine } from './private-machine.ts';

// Real programs on a machine that may be busy.
let machine: PrivateMachine;

beforeAll(async () => {
  machine = await startPrivateMachine();
});
afterAll(() => machine?.close());

const commandLines = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', '|');
      } catch {
        return '';
      }
    });

describe('an account of a repository', () => {
  const web01 = () => machine.url('web01', 'web01');

  test('makes its repository, fills it, checks it, deletes it, and makes it anew', async () => {
    const folder = join(machine.places.repos, 'web01');
    for (const round of [1, 2]) {
      const init = await machine.borg(['init', '-e', 'none', web01()]);
      expect(init.stderr).toBe('');
      expect(init.exitCode).toBe(0);
      expect((await machine.borg(['create', `${web01()}::first`, '/etc/hostname'])).exitCode).toBe(0);
      // These sentences come from the server. It says them only if the client's --info reaches it.
      const check = await machine.borg(['check', '-v', web01()]);
      expect(check.stderr).toContain('Starting repository check');
      const deleted = await machine.borg(['delete', web01()]);
      expect({ round, exitCode: deleted.exitCode }).toEqual({ round, exitCode: 0 });
      expect(deleted.stderr).not.toMatch(/Traceback|Error/);
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test('cannot open the repository of another', async () => {
    const result = await machine.borg(['init', '-e', 'none', machine.url('web01', 'vault')]);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('Repository path not allowed');
  });

  test('gets an answer to borg --version, whatever it calls borg', async () => {
    for (const command of ['borg --version', 'borg14 --version', '/usr/local/bin/borg1 -V', 'borg.exe --version']) {
      const { stdout, exitCode } = await machine.ssh('web01', command);
      expect(stdout).toMatch(/^borg 1\.\d+\.\d+$/);
      expect(exitCode).toBe(0);
    }
  });

  test('is told in a sentence what the account is for if it asks for anything else', async () => {
    for (const command of ['', 'ls -l /', 'bash -i', 'rsync --server . /', 'serve', 'scp -t /', '-c id']) {
      const { stderr, stdout, exitCode } = await machine.ssh('web01', ...(command ? ['--', command] : []));
      expect(stderr).toContain(`for BorgBackup only`);
      expect(stderr).toContain(`ssh://web01@HOST:PORT${machine.places.repos}/web01`);
      expect(stdout).toBe('');
      expect(exitCode).toBe(1);
    }
  });

  test('is served under any name that its client has for borg', async () => {
    for (const name of ['borg14', '/opt/my borg/borg.exe', 'env X=1 borg', 'sudo -n borg']) {
      const result = await machine.borg(['info', '--remote-path', name, web01()]);
      expect(result.stderr).toContain('is not a valid repository');
    }
  });

  test('cannot make borg read files with the command it asks for', async () => {
    // Parsed by borg, this opens the file: /dev/zero in its place takes gigabytes.
    const result = await machine.ssh('web01', 'borg create --exclude-from /nonexistent x::y z serve');
    expect(result.stderr).toBe('');
    expect(result.stdout).toContain('Got connection close before repository was opened');
  });

  test('has no sftp, no pty, no environment and no forwarding', async () => {
    expect((await machine.ssh('web01', '-s', 'sftp')).exitCode).not.toBe(0);
    expect((await machine.ssh('web01', '-tt', 'borg', '--version')).stderr).toContain('PTY allocation request failed');
    const forwarded = await machine.ssh('web01', '-W', `127.0.0.1:${machine.port}`);
    expect(forwarded.stdout).toBe('');
    expect(forwarded.exitCode).not.toBe(0);
  });
});

test('an account without a role is refused whatever its key', async () => {
  const result = await machine.ssh('stranger', 'borg', 'serve');
  expect(result.exitCode).toBe(255);
});

test('an append-only account loses nothing by deleting, and cannot delete the repository', async () => {
  const url = machine.url('vault', 'vault');
  await machine.borg(['init', '-e', 'none', url]);
  await machine.borg(['create', `${url}::first`, '/etc/hostname']);
  const size = () => readdirSync(join(machine.places.repos, 'vault/data/0')).length;
  const before = size();
  expect((await machine.borg(['delete', `${url}::first`])).exitCode).toBe(0);
  expect((await machine.borg(['compact', url])).exitCode).toBe(0);
  expect(size()).toBeGreaterThanOrEqual(before);
  expect((await machine.borg(['delete', url])).exitCode).not.toBe(0);
  expect(size()).toBeGreaterThanOrEqual(before);
});

describe('an admin and an account that share a repository', () => {
  test('wait for each other’s lock, and find files that they can both change', async () => {
    const own = machine.url('web01', 'web01');
    const admins = machine.url('boss', 'web01');
    expect((await machine.borg(['init', '-e', 'none', own])).exitCode).toBe(0);
    const go = join(machine.places.run, 'go');
    const holder = machine.borg(['with-lock', own, 'sh', '-c', `until [ -e ${go} ]; do sleep 0.1; done`]);
    const lock = join(machine.places.repos, 'web01/lock.exclusive');
    await until('the lock to be held', () => statSync(lock, { throwIfNoEntry: false }) !== undefined);
    expect(statSync(lock).mode & 0o7777).toBe(0o2770);
    const waited = await machine.borg(['create', '--lock-wait', '1', `${admins}::a`, '/etc/hostname']);
    expect(waited.stderr).toContain('Failed to create/acquire the lock');
    expect(waited.stderr).not.toContain('PermissionError');
    writeFileSync(go, '');
    expect((await holder).exitCode).toBe(0);
    expect((await machine.borg(['create', `${admins}::a`, '/etc/hostname'])).exitCode).toBe(0);
    expect((await machine.borg(['create', `${own}::b`, '/etc/hostname'])).exitCode).toBe(0);
    const deleted = await machine.borg(['delete', admins]);
    expect(deleted.stderr).not.toMatch(/Traceback|Error/);
    expect(deleted.exitCode).toBe(0);
    expect(readdirSync(join(machine.places.repos, 'web01'))).toEqual([]);
  });

  test('leave nothing of borg beside the repositories', () => {
    expect(readdirSync(machine.places.repos).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('an error in the middle of a deletion stays an error', async () => {
    const own = machine.url('web01', 'web01');
    await machine.borg(['init', '-e', 'none', own]);
    const kept = join(machine.places.repos, 'web01/data/0');
    writeFileSync(join(kept, 'theirs'), '');
    await execa('chown', ['root:root', kept]);
    await execa('chmod', ['755', kept]);
    const deleted = await machine.borg(['delete', own]);
    expect(deleted.exitCode).toBe(2);
    expect(deleted.stderr).toContain('PermissionError');
    await execa('rm', ['-rf', join(machine.places.repos, 'web01/data'), join(machine.places.repos, 'web01/config')]);
  });
});

test('a session shows its address and port in its command line, and outlives the listener', async () => {
  const url = machine.url('web01', 'web01');
  const home = join(machine.places.repos, 'web01');
  for (const name of readdirSync(home)) {
    rmSync(join(home, name), { recursive: true });
  }
  expect((await machine.borg(['init', '-e', 'none', url])).exitCode).toBe(0);
  const over = join(machine.places.run, 'over');
  const running = machine.borg(['with-lock', url, 'sh', '-c', `until [ -e ${over} ]; do sleep 0.1; done; exit 7`]);
  const session = () =>
    commandLines().find((line) => line.includes(`|${machine.places.run}/borg-serve|--session|127.0.0.1 `));
  await until('a session to be seen', () => session() !== undefined);
  expect(session()).toMatch(
    new RegExp(
      `\\|-I\\|.*\\|--session\\|127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${machine.port}\\|--account\\|web01\\|--sessions\\|50\\|--memory\\|auto\\|--min-free\\|auto\\|--box\\|required\\|--\\|serve\\|--umask\\|0007\\|`,
    ),
  );
  await machine.sshd.stop();
  expect(machine.exits).toMatchObject([{ stopped: true }]);
  expect((await machine.ssh('web01', 'borg', '--version')).exitCode).toBe(255);
  writeFileSync(over, '');
  expect((await running).exitCode).toBe(7);
  await until('sshd to say that it is over', (saw) =>
    saw(machine.lines).some((line) => line.startsWith('Disconnected from user web01')),
  );
  expect(readdirSync(home)).not.toContain('lock.exclusive');
});
