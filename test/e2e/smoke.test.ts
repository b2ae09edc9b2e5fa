import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { client, ownServer, server } from './harness/own-server.ts';

ownServer({ ownHostKeys: true });

test('a dropped key can back up and restore, byte for byte', async () => {
  await writeFile(join(server.sshkeys, 'repos/web01'), `${client.key.public}\n`);
  await server.exec(['update-borgusers']);

  const bytes = Buffer.alloc(3_000_000, 'seventeen bytes. ');
  await mkdir(join(client.home, 'documents'));
  await writeFile(join(client.home, 'documents/letter'), bytes);
  await cp('/usr/bin/ssh', join(client.home, 'documents/program'));

  const repository = client.url('web01');
  await client.borg(['init', '--encryption', 'repokey-blake2', repository]);
  await client.borg(['create', `${repository}::first`, 'documents'], { cwd: client.home });
  const archives = await client.borg(['list', '--short', repository]);
  expect(archives.stdout).toBe('first\n');

  await mkdir(join(client.home, 'restored'));
  await client.borg(['extract', `${repository}::first`], { cwd: join(client.home, 'restored') });
  expect(await readFile(join(client.home, 'restored/documents/letter'))).toEqual(bytes);
  expect(await readFile(join(client.home, 'restored/documents/program'))).toEqual(await readFile('/usr/bin/ssh'));
});

test('the repository belongs to its account, and its group may share it', async () => {
  const folder = await stat(join(server.repos, 'web01'));
  expect(folder.uid).toBe(folder.gid);
  expect(folder.uid).toBeGreaterThanOrEqual(10_000);
  expect(folder.mode & 0o7777).toBe(0o2770);
});
