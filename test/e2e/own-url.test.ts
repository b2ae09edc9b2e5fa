import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { updated } from './harness/updated.ts';

ownServer({ env: { PUBLIC_HOST: '127.0.0.1' } }, async () => {
  await grant(server, 'repos/web01', client.key);
  await grant(server, 'repos-appendonly/mail01', client.key);
  await grant(server, 'admins/alice', await client.newKey().then((key) => (admin = key)));
  await writeKeyFile(server, 'repos/fleet', client.key);
  await appendFile(join(server.sshkeys, 'repos/fleet'), '# borgserver: sub-repositories=yes\n');
  await updated(server);
});

let admin: Awaited<ReturnType<Client['newKey']>>;

test.each([
  ['web01', 'The repository of this account is ssh://web01@127.0.0.1:PORT/repos/web01'],
  ['mail01', 'The repository of this account is ssh://mail01@127.0.0.1:PORT/repos/mail01'],
  ['fleet', 'The repositories of this account are ssh://fleet@127.0.0.1:PORT/repos/fleet/NAME'],
  ['alice', 'The repositories of this account are ssh://alice@127.0.0.1:PORT/repos/NAME'],
])('%s asks for a path as other hosters have it, and is told its own URL, and nothing else', async (account, own) => {
  const key = account === 'alice' ? admin : client.key;
  const elsewhere = ['/backup/x', '/x', '/~/../backup'];
  // For an account with several repositories and for an admin these are paths that they may use.
  const relative = account === 'web01' ? ['/./x', '/~/x'] : [];
  for (const path of account === 'alice' ? elsewhere : [...elsewhere, ...relative, '/repos/nobody', '/repos/db01']) {
    const url = `ssh://${account}@127.0.0.1:${server.port}${path}`;
    const { stderr, exitCode } = await client.borg(['list', url], { key, reject: false });
    expect(exitCode, path).toBe(2);
    expect(stderr, path).toContain('Repository path not allowed: ');
    expect(stderr.split('\n'), path).toContain(own.replace('PORT', String(server.port)));
    expect(stderr, path).not.toContain('Traceback');
  }
});

test('the sentence after a bare ssh has a URL that works as it stands', async () => {
  const { stderr } = await client.ssh('web01', [], { reject: false });
  const [command, url] = /borg init -e repokey-blake2 (ssh:\S+)$/m.exec(stderr) ?? [];
  expect(command, stderr).toBeDefined();
  expect(await client.borg(['init', '-e', 'none', url ?? ''], { reject: false })).toMatchObject({ exitCode: 0 });
});

test('no repository inside a folder can have the name of one of borg’s own files', async () => {
  const init = (account: string, path: string) =>
    client.borg(['init', '-e', 'none', client.url(account, path)], {
      reject: false,
      key: account === 'alice' ? admin : client.key,
    });
  await mkdir(join(server.repos, 'team'), { mode: 0o777 });
  for (const [account, path, name] of [
    ['fleet', 'fleet/data', 'data'],
    ['fleet', 'fleet/lock.exclusive', 'lock.exclusive'],
    ['fleet', 'fleet/README', 'README'],
    ['alice', 'team/data', 'data'],
  ] as const) {
    const { stderr, exitCode } = await init(account, path);
    expect({ path, exitCode }).toEqual({ path, exitCode: 2 });
    expect(stderr).toContain(
      `a repository in the folder of an account cannot be called ${name}: borg keeps files of its own`,
    );
  }
  for (const [account, path] of [
    ['fleet', 'fleet/database'],
    ['alice', 'data'],
  ] as const)
    expect(await init(account, path), path).toMatchObject({ exitCode: 0 });
});
