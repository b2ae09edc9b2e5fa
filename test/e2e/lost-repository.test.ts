import { mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeKeyFile } from './harness/key-files.ts';
import { letIn } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { updated } from './harness/updated.ts';

ownServer({}, async () => {
  await writeKeyFile(server, 'repos/web01', client.key);
  await updated(server);
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')]);
});

const exec = (...words: string[]) => server.exec(words, { reject: false });

test('a repository whose folder is gone is reported everywhere until an operator confirms it, and its client is told clearly', async () => {
  expect((await exec('update-borgusers')).exitCode).toBe(0);
  await rm(join(server.repos, 'web01'), { recursive: true });
  const update = await exec('update-borgusers');
  expect(update.exitCode).toBe(1);
  expect(update.stdout).toContain('update-borgusers --confirm web01');
  await until('the log to tell it', () => /ERROR.*repository-lost.*\/repos\/web01/.test(server.log()));
  const listed = await client.borg(['list', client.url('web01')], { reject: false });
  expect(listed.stderr).toMatch(/not a valid repository|does not exist/);

  await server.start();
  await letIn(client, 'web01');
  expect((await exec('borgserver', 'status')).stdout).toMatch(/! {2}web01 .*LOST/);
  expect((await exec('borgserver', 'status')).exitCode).toBe(1);
  expect((await exec('borgserver', 'doctor')).stdout).toMatch(/ERROR .*\/repos\/web01: a repository was here/);

  const slip = await exec('update-borgusers', '--confirm', 'web02');
  expect(slip).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('web02') });
  expect((await exec('borgserver', 'status')).stdout).toContain('LOST');
  expect((await exec('update-borgusers', '--confirm', 'web01')).exitCode).toBe(0);
  expect((await exec('borgserver', 'status')).stdout).not.toContain('LOST');
  expect((await exec('update-borgusers')).exitCode).toBe(0);
});

test('a repository that was moved into the folder of its new account is reported as too deep, and the printed command cures it', async () => {
  await writeKeyFile(server, 'repos/old', client.key);
  await exec('update-borgusers');
  await client.borg(['init', '--encryption', 'repokey', client.url('old')]);
  await rm(join(server.sshkeys, 'repos/old'));
  await writeKeyFile(server, 'repos/laptop', client.key);
  await exec('update-borgusers');
  await exec('mv', '/repos/old', '/repos/laptop');
  const { stdout } = await exec('borgserver', 'status');
  expect(stdout).toMatch(/[!*] {2}laptop .*never initialised: a repository lies one level too deep, in laptop\/old/);
  const lines: { message: string; cure: string }[] = JSON.parse((await exec('borgserver', 'doctor', '--json')).stdout);
  const cure = lines.find(({ message }) => message.startsWith('laptop was never initialised'))?.cure ?? '';
  expect(await exec('sh', '-c', cure)).toMatchObject({ exitCode: 0 });
  await client.borg(['list', client.url('laptop')], { env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } });
  expect((await exec('borgserver', 'status')).stdout).not.toContain('too deep');
});

test('a start without the disk of the repositories is refused until an operator confirms it, and no name gets another uid', async () => {
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')], {
    env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  });
  await exec('update-borgusers');
  const { uid } = await stat(join(server.repos, 'web01'));
  const away = `${server.repos}-away`;
  const unplugged = async () => {
    await server.stop();
    await rename(server.repos, away);
    await mkdir(server.repos);
    const before = server.log().length;
    await server.start(undefined, { ready: false });
    expect(await server.ended()).not.toBe(0);
    expect(server.log().slice(before)).toMatch(
      /cannot start.*repositories of this server are not there.*web01.*--confirm \/repos/,
    );
    expect(await readdir(server.repos)).toEqual([]);
  };
  await unplugged();
  await rmdir(server.repos);
  await rename(away, server.repos);
  await server.start();
  expect((await client.borg(['list', client.url('web01')])).exitCode).toBe(0);

  await unplugged();
  expect(await server.alone(['update-borgusers', '--confirm', '/repos'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Confirmed'),
  });
  await server.start();
  await letIn(client, 'web01');
  expect((await stat(join(server.repos, 'web01'))).uid).toBe(uid);
  expect((await client.borg(['list', client.url('web01')], { reject: false })).stderr).toMatch(
    /not a valid repository/,
  );
  expect(await exec('update-borgusers', '--confirm', '/repos')).toMatchObject({ exitCode: 3 });
  await rm(away, { recursive: true });
});

test('a running server whose repositories are all gone does not take its accounts for new ones', async () => {
  const status = async () => {
    const { stdout, exitCode } = await exec('borgserver', 'status');
    return { stdout, exitCode };
  };
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')], {
    env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  });
  await exec('update-borgusers');
  expect(await status()).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining('VANISHED') });
  // With another disk the server's own records are gone, too. Otherwise only the visible folders are gone.
  for (const gone of ['/repos/* /repos/.borgserver', '/repos/*']) {
    await exec('sh', '-c', `mkdir /repos/.away && mv ${gone} /repos/.away/`);
    const found = await status();
    expect(found.exitCode).toBe(1);
    expect(found.stdout).toMatch(/VANISHED, not new: .* missing: .*web01/);
    expect(found.stdout).toMatch(/^! {2}web01 .*GONE/m);
    const alone = await server.exec(
      [
        'sh',
        '-c',
        'mv /run/borgserver/control.sock /run/borgserver/away; borgserver status; code=$?; mv /run/borgserver/away /run/borgserver/control.sock; exit $code',
      ],
      { reject: false },
    );
    expect(alone).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('VANISHED') });
    await exec(
      'sh',
      '-c',
      '[ ! -e /repos/.away/.borgserver ] || rm -rf /repos/.borgserver; mv /repos/.away/* /repos/; mv /repos/.away/.borgserver /repos/ 2>/dev/null; rmdir /repos/.away',
    );
    expect(await status()).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining('VANISHED') });
  }
});
