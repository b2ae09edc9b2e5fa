import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Key } from './harness/client.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn, lockedOut } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { ownerships } from './harness/repository-files.ts';
import { updated } from './harness/updated.ts';

let intruder: Key;

ownServer({ env: { RESYNC_SECONDS: '86400' } }, async () => {
  intruder = await client.newKey();
  await writeKeyFile(server, 'repos/web01', client.key);
  await writeKeyFile(server, 'repos/web02', client.key);
  await writeKeyFile(server, 'admins/ops', client.key);
  await updated(server);
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')]);
});

const PASSWD = '/var/lib/extrausers/passwd';
const KEYS = '/run/borgserver/authorized_keys';
const inside = async (script: string): Promise<string> => (await server.exec(['sh', '-c', script])).stdout;
const uidOf = async (name: string) => (await stat(join(server.repos, name))).uid;

/** What a pass changes. Holds that the log says so, too, and that a second pass changes nothing. */
const repair = async () => {
  const logged = server.log().length;
  const { changes } = JSON.parse((await server.exec(['update-borgusers', '--json'])).stdout);
  expect(changes.length).toBeGreaterThan(0);
  for (const { kind } of changes) {
    await until('the log to say it', () => server.log().slice(logged).includes(`INFO: ${kind} `));
  }
  const again = JSON.parse((await server.exec(['update-borgusers', '--json'])).stdout);
  expect(again.changes).toEqual([]);
  return changes.map(({ kind, account }: { kind: string; account: string }) => `${kind} ${account}`.trim());
};

test('a line that is gone from the account database comes back, with its uid', async () => {
  const before = await inside(`cat ${PASSWD}`);
  await inside(`sed -i /^web01:/d ${PASSWD}`);
  expect(await letsIn(client, 'web01')).toBe(false);
  expect(await repair()).toContain('account-added web01');
  expect(await inside(`cat ${PASSWD}`)).toBe(before);
  expect(await letsIn(client, 'web01')).toBe(true);
});

test('an account that somebody wrote into the database is gone', async () => {
  const before = await inside(`cat ${PASSWD}`);
  await inside(
    `echo 'toor:x:0:0::/:/bin/sh' >>${PASSWD}; echo 'web03:x:1000:1000:borgserver:/repos:/bin/sh' >>${PASSWD}`,
  );
  await repair();
  expect(await inside(`cat ${PASSWD}`)).toBe(before);
});

test('a tenant who was made an admin in the database is a tenant again', async () => {
  const before = await inside(`cat ${PASSWD}`);
  await inside(`sed -i 's/^web02:x:[0-9]*:770/web02:x:1000:1000/' ${PASSWD}`);
  await repair();
  expect(await inside(`cat ${PASSWD}`)).toBe(before);
});

test('groups and shadow are as the server wrote them, modes too', async () => {
  const read = () => inside('cd /var/lib/extrausers; cat group shadow; stat -c "%a %u %g %n" passwd group shadow');
  const before = await read();
  await inside(
    "cd /var/lib/extrausers; echo 'borg-admin:x:772:web02' >>group; sed -i 's/^web01:\\*/web01:/' shadow; chmod 666 passwd shadow",
  );
  expect(await repair()).toContain('database-repaired');
  expect(await read()).toBe(before);
});

test('a key that somebody added to authorized_keys is taken out', async () => {
  await inside(`echo '${intruder.public}' >>${KEYS}/web01`);
  expect(await repair()).toEqual(['authorized-keys-repaired web01']);
  expect(await letsIn(client, 'web01', intruder)).toBe(false);
  expect(await letsIn(client, 'web01')).toBe(true);
});

test('so is a key that is written as the server would write it', async () => {
  await inside(`sed 's|restrict .*|restrict ${intruder.public}|' ${KEYS}/web01 | tail -n 1 >>${KEYS}/web01`);
  await repair();
  expect(await letsIn(client, 'web01', intruder)).toBe(false);
  expect(await letsIn(client, 'web01')).toBe(true);
});

test('a file that is gone from authorized_keys comes back, and a strange one goes', async () => {
  await inside(`rm ${KEYS}/web02; echo '${intruder.public}' >${KEYS}/stranger; mkdir -p ${KEYS}/folder/deep`);
  expect(await letsIn(client, 'web02')).toBe(false);
  expect(await repair()).toEqual(expect.arrayContaining(['account-added web02', 'authorized-keys-repaired stranger']));
  expect(await letsIn(client, 'web02')).toBe(true);
  expect((await inside(`ls ${KEYS}`)).split('\n').sort()).toEqual(['', 'ops', 'web01', 'web02']);
});

test('a key planted for an account without a role lets nobody in, even before it is taken out', async () => {
  const line = `restrict ${intruder.public}`;
  const accounts = ['www-data', 'root'];
  for (const account of accounts) await inside(`echo '${line}' >${KEYS}/${account}`);
  for (const account of accounts) {
    const { exitCode, stderr } = await client.ssh(account, ['borg', '--version'], { key: intruder, reject: false });
    expect(exitCode).toBe(255);
    expect(stderr).toContain('Permission denied (publickey)');
  }
  expect(await repair()).toEqual(accounts.toSorted().map((account) => `authorized-keys-repaired ${account}`));
});

test('a file of authorized_keys that is a link, or that sshd cannot read, is replaced', async () => {
  await inside(`cd ${KEYS}; mv web01 /run/elsewhere; ln -s /run/elsewhere web01; chmod 600 web02; chmod 700 .`);
  await repair();
  expect(await inside(`cd ${KEYS}; stat -c '%F %a %u' . web01 web02`)).toBe(
    'directory 755 0\nregular file 640 0\nregular file 640 0\n',
  );
  expect(await letsIn(client, 'web01')).toBe(true);
  expect(await letsIn(client, 'web02')).toBe(true);
});

test('a file of authorized_keys that another account could read is closed to it again', async () => {
  const groups = async () => (await inside(`stat -c %g ${KEYS}/web01 ${KEYS}/web02`)).trim().split('\n').map(Number);
  const own = [await uidOf('web01'), await uidOf('web02')];
  expect(await groups()).toEqual(own);
  await inside(`chgrp ${own[1]} ${KEYS}/web01`);
  expect(await letsIn(client, 'web01')).toBe(false);
  expect(await repair()).toEqual(['authorized-keys-repaired web01']);
  expect(await groups()).toEqual(own);
  expect(await letsIn(client, 'web01')).toBe(true);
});

test('what root has written into a repository with its own borg is given back to the account, and counts as no backup', async () => {
  await client.borg(['init', '--encryption', 'none', client.url('web02')]);
  const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };
  const create = (archive: string, reject = true) =>
    client.borg(['create', `${client.url('web02')}::${archive}`, '.'], { cwd: client.home, env, reject });
  const shown = async () => {
    const { stdout, exitCode } = await server.exec(['borgserver', 'status', '--json'], { reject: false });
    const { repositories } = JSON.parse(stdout);
    const { lastBackup, marks } = repositories.find(({ name }: { name: string }) => name === 'web02');
    return { lastBackup, exitCode, marks: marks.map(({ code }: { code: string }) => code) };
  };
  await create('own');
  const begun = Date.now();
  await inside(
    'export HOME=/tmp BORG_BASE_DIR=/tmp/roots BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes; ' +
      '$(ls /opt/borg/bin/borg /usr/bin/borg 2>/dev/null | head -n 1) create /repos/web02::roots /etc/hostname',
  );
  expect((await create('refused', false)).exitCode).toBeGreaterThan(1);
  const before = await shown();
  expect(before.exitCode).toBe(1);
  expect(before.lastBackup).toBeLessThan(begun);
  expect(before.marks).toContain('foreign-owners');

  expect(await repair()).toEqual(['repository-repaired web02']);
  const after = await shown();
  // The mark of a failure stays until a backup has finished.
  expect(after.marks).toEqual(['failed', 'not-encrypted']);
  expect(after.lastBackup).toBeLessThan(begun);
  await create('after');
  await expect.poll(async () => (await shown()).marks).toEqual(['not-encrypted']);
  expect((await shown()).lastBackup).toBeGreaterThan(begun);
});

test('a repository that was chowned belongs to its account again, with the same uid, and a backup works', async () => {
  const uid = await uidOf('web01');
  await inside('chown -R 4242:4242 /repos/web01');
  expect(await repair()).toEqual(['repository-adopted web01']);
  expect(await uidOf('web01')).toBe(uid);
  const files = await ownerships(join(server.repos, 'web01'));
  expect(files.filter((file) => file.uid !== uid || file.gid !== uid)).toEqual([]);
  expect((await client.borg(['create', `${client.url('web01')}::chowned`, '/etc/hostname'])).exitCode).toBe(0);
});

test("where a repository was chowned to another account's uid, neither account loses its repository", async () => {
  const [uid, other] = [await uidOf('web01'), await uidOf('web02')];
  await inside(`chown -R ${other}:${other} /repos/web01`);
  await repair();
  expect(await uidOf('web01')).toBe(uid);
  expect(await uidOf('web02')).toBe(other);
});

test('a setgid bit that is gone comes back', async () => {
  await inside('chmod 00700 /repos/web01');
  expect((await stat(join(server.repos, 'web01'))).mode & 0o7777).toBe(0o700);
  expect(await repair()).toEqual(['repository-repaired web01']);
  expect((await stat(join(server.repos, 'web01'))).mode & 0o7777).toBe(0o2770);
  // One borg client uses two accounts. To this client the repository has moved.
  const options = { env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } };
  for (const [account, archive] of [
    ['ops', 'by-the-admin'],
    ['web01', 'by-the-account'],
  ] as const) {
    await client.borg(['create', `${client.url(account, 'web01')}::${archive}`, '/etc/hostname'], options);
  }
});

test('the periodic pass repairs by itself', async () => {
  await server.start({ RESYNC_SECONDS: '1' });
  await letIn(client, 'web01');
  await inside(`echo '${intruder.public}' >>${KEYS}/web01; sed -i /^web02:/d ${PASSWD}; chmod 00770 /repos/web01`);
  await lockedOut(client, 'web01', intruder);
  await letIn(client, 'web02');
  await until('the mode', async () => ((await stat(join(server.repos, 'web01'))).mode & 0o7777) === 0o2770);
});
