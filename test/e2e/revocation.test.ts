import { execFileSync } from 'node:child_process';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Key } from './harness/client.ts';
import { grant, rewriteInPlace, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn } from './harness/logging-in.ts';
import { freePort, until } from './harness/machine.ts';
import { ownConnections } from './harness/own-connections.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { startBackup } from './harness/running-backup.ts';
import { onlyOn } from './harness/server.ts';
import { known, openConnection, sessionsOf } from './harness/sessions.ts';
import { stallLogin } from './harness/stalled-login.ts';

// No periodic pass helps.
ownServer({ env: { RESYNC_SECONDS: '86400' } });
const { keep, openKnown } = ownConnections();

const keyFile = (path: string) => join(server.sshkeys, path);
/** `borg serve` without a word to it: a session that runs borg until somebody ends it. */
const BORG = { flags: [], words: ['borg', 'serve'] };
const withOptions = (options: string, key: Key): Key => ({ ...key, public: `${options} ${key.public}` });
const update = () => server.exec(['update-borgusers'], { reject: false });
const endedBecause = (account: string, reason: string) =>
  until(`the log to say that a session of ${account} ended: ${reason}`, () =>
    server
      .log()
      .split('\n')
      .some((line) => line.includes('session ended') && line.includes(`"${account}"`) && line.includes(reason)),
  );
const locks = async (repository: string) => {
  const names = (await readdir(join(server.repos, repository))).filter((name) => name.startsWith('lock'));
  return names.filter((name) => name !== 'lock.roster');
};

test('a backup of several hundred MB ends with its key, leaves no lock and a sound repository, and hurts nobody else’s', async () => {
  const [stays, goes, other] = [await client.newKey(), await client.newKey(), await client.newKey()];
  await writeKeyFile(server, 'repos/laptop', stays, goes);
  await grant(server, 'repos/beside', other);
  const url = client.url('laptop');
  await client.borg(['init', '--encryption', 'repokey', url], { key: stays });
  await client.borg(['init', '--encryption', 'none', client.url('beside')], { key: other });
  const file = join(client.home, 'large');
  execFileSync('sh', ['-c', 'head -c 300000000 /dev/urandom >"$0"', file]);
  const beside = await startBackup(server, client, 'beside', 'whole', { key: other });

  const words = ['create', '--compression', 'none', '--upload-ratelimit', '10000', `${url}::cut`, file];
  const cut = client.borg(words, { key: goes, reject: false });
  let ended = false;
  const end = cut.then((how) => {
    ended = true;
    return how;
  });
  await until('the backup to be under way', async () => {
    const [session] = await known(server, 'laptop', goes);
    return session?.borg.length === 1 && (session.received ?? 0) > 1_000_000;
  });
  expect(ended).toBe(false);
  const from = performance.now();
  await writeKeyFile(server, 'repos/laptop', stays);
  const how = await until('the client to end', () => ended && end);
  console.log(`from the key's removal to the end of the client's borg: ${Math.round(performance.now() - from)} ms`);
  expect(how.exitCode).not.toBe(0);

  await until('the lock to be gone', async () => (await locks('laptop')).length === 0);
  await endedBecause('laptop', 'its key is gone');
  expect(server.log()).not.toContain('session killed');
  expect(await letsIn(client, 'laptop', goes)).toBe(false);
  await client.borg(['check', '--lock-wait', '0', url], { key: stays });
  expect((await beside.finish()).exitCode).toBe(0);
  expect(await beside.isWhole()).toBe(true);
  await rm(file);
});

test('when one key of several is removed, its idle, multiplexed and borg connections end, and no others', async () => {
  const [stays, goes] = [await client.newKey(), await client.newKey()];
  await grant(server, 'repos/several', stays, goes);
  const url = client.url('several');
  await client.borg(['init', '--encryption', 'none', url], { key: stays });
  const socket = join(client.home, 'master');
  const over = { env: { BORG_RSH: ['ssh', ...client.sshFlags(goes), '-S', socket].join(' ') } };
  const bystanders = [await openKnown('several', stays), await openKnown('several', stays, BORG)];
  const revoked = [
    await openKnown('several', goes),
    await openKnown('several', goes, { flags: ['-N', '-M', '-S', socket] }),
    await openKnown('several', goes, BORG),
  ];
  const create = (archive: string) =>
    client.borg(['create', `${url}::${archive}`, '/etc/hostname'], { ...over, reject: false });
  expect((await create('over-the-master')).exitCode).toBe(0);
  expect((await sessionsOf(server)).filter(({ account }) => account === 'several')).toHaveLength(5);

  const from = performance.now();
  await writeKeyFile(server, 'repos/several', stays);
  await Promise.all(revoked.map((each) => each.ended()));
  console.log(`from the key's removal to the end of three ssh: ${Math.round(performance.now() - from)} ms`);
  expect((await create('too-late')).exitCode).not.toBe(0);
  expect((await known(server, 'several', stays, 2)).length).toBe(2);
  await known(server, 'several', goes, 0);
  expect(bystanders.map((each) => each.over())).toEqual([false, false]);
});

test('a client that connects after a key is gone is not taken for a session of that key whose process was in doubt', async () => {
  const [stays, goes] = [await client.newKey(), await client.newKey()];
  await grant(server, 'repos/doubt', stays, goes);
  // All connect at once, so that no process shows which session it belongs to.
  const [kept, revoked] = [stays, goes].map((key) =>
    Array.from({ length: 4 }, () => openConnection(client, 'doubt', key)),
  );
  keep(...(kept ?? []), ...(revoked ?? []));
  for (const key of [stays, goes]) await known(server, 'doubt', key, 4);
  await writeKeyFile(server, 'repos/doubt', stays);
  await Promise.all((revoked ?? []).map((each) => each.ended()));
  const later = await openKnown('doubt', stays);
  await known(server, 'doubt', goes, 0);
  expect(later.over()).toBe(false);
});

test('a session of an account with the longest possible name is ended like others', async () => {
  const key = await client.newKey();
  const name = 'n'.repeat(100);
  await grant(server, `repos/${name}`, key);
  const session = await openKnown(name, key);
  await writeKeyFile(server, `repos/${name}`, await client.newKey());
  await session.ended();
});

test('a key that several accounts share goes on with the others when one loses it', async () => {
  const shared = await client.newKey();
  await writeKeyFile(server, 'repos/shared1', shared);
  await grant(server, 'repos/shared2', shared);
  const [first, second] = [await openKnown('shared1', shared), await openKnown('shared2', shared)];
  await rm(keyFile('repos/shared1'));
  await first.ended();
  await endedBecause('shared1', 'its account is gone');
  expect(second.over()).toBe(false);
  await known(server, 'shared2', shared);
});

test('admins share a user id, and only the sessions of the one who is gone are ended', async () => {
  const [one, extra, two] = [await client.newKey(), await client.newKey(), await client.newKey()];
  await writeKeyFile(server, 'admins/boss1', one, extra);
  await grant(server, 'admins/boss2', two);
  const stays = [await openKnown('boss2', two), await openKnown('boss2', two, BORG)];
  const key = [await openKnown('boss1', extra), await openKnown('boss1', extra, BORG)];
  const account = [await openKnown('boss1', one), await openKnown('boss1', one, BORG)];
  await writeKeyFile(server, 'admins/boss1', one);
  await Promise.all(key.map((each) => each.ended()));
  expect(account.map((each) => each.over())).toEqual([false, false]);
  await rm(keyFile('admins/boss1'));
  await Promise.all(account.map((each) => each.ended()));
  await known(server, 'boss2', two, 2);
  expect(stays.map((each) => each.over())).toEqual([false, false]);
});

test('the sessions of an account that becomes append-only are ended, and it may come back; those of one that may do more go on', async () => {
  const [down, up] = [await client.newKey(), await client.newKey()];
  await writeKeyFile(server, 'repos/down', down);
  await grant(server, 'repos-appendonly/up', up);
  const ends = [await openKnown('down', down), await openKnown('down', down, BORG)];
  const goesOn = await openKnown('up', up);
  await rename(keyFile('repos/down'), keyFile('repos-appendonly/down'));
  await Promise.all(ends.map((each) => each.ended()));
  await endedBecause('down', 'its role repo became append-only');
  await openKnown('down', down);
  await rename(keyFile('repos-appendonly/up'), keyFile('repos/up'));
  await until('the role to change', () => /account-changed.*"up".*append-only becomes repo/.test(server.log()));
  expect(goesOn.over()).toBe(false);
});

test('the sessions of an admin who becomes a tenant are ended', async () => {
  const key = await client.newKey();
  await grant(server, 'admins/demoted', key);
  const session = await openKnown('demoted', key);
  await rename(keyFile('admins/demoted'), keyFile('repos/demoted'));
  await session.ended();
  await endedBecause('demoted', 'its role admin became repo');
});

test('the sessions of an account that may no longer have several repositories are ended: an open connection could still use them', async () => {
  const key = await client.newKey();
  const line = '# borgserver: sub-repositories=yes';
  await writeFile(keyFile('repos/subs'), `${line}\n${key.public}\n`);
  await update();
  const session = await openKnown('subs', key);
  await writeFile(keyFile('repos/subs'), `${key.public}\n`);
  await session.ended();
});

test('a from= that no longer allows the address of a session ends it, and one that still allows it ends nobody', async () => {
  const key = await client.newKey();
  await grant(server, 'repos/narrowed', key);
  const [first, second] = [await openKnown('narrowed', key), await openKnown('narrowed', key, BORG)];
  const address = (await known(server, 'narrowed', key, 2))[0]?.address;
  await grant(server, 'repos/narrowed', withOptions(`from="10.99.0.0/16,${address}"`, key));
  await known(server, 'narrowed', key, 2);
  expect([first.over(), second.over()]).toEqual([false, false]);
  await writeKeyFile(server, 'repos/narrowed', withOptions('from="10.99.0.0/16"', key));
  await Promise.all([first.ended(), second.ended()]);
  await endedBecause('narrowed', 'its address is no longer in from=');
});

onlyOn('namespace', () =>
  test('from= tells ::1 from 127.0.0.1, however it is written', async () => {
    const key = await client.newKey();
    await grant(server, 'repos/families', key);
    const alias = `HostKeyAlias=[127.0.0.1]:${server.port}`;
    const v4 = await openKnown('families', key);
    const v6 = await openKnown('families', key, { flags: ['-N', '-o', 'HostName=::1', '-o', alias] });
    expect(new Set((await known(server, 'families', key, 2)).map(({ address }) => address))).toEqual(
      new Set(['127.0.0.1', '::1']),
    );
    await writeKeyFile(server, 'repos/families', withOptions('from="0:0:0:0:0:0:0:1"', key));
    await v4.ended();
    await known(server, 'families', key, 1);
    expect(v6.over()).toBe(false);
    // The next pass does not end it either, and sshd admits it anew.
    await openKnown('families', key, { flags: ['-N', '-o', 'HostName=::1', '-o', alias] });
    await update();
    expect(v6.over()).toBe(false);
  }),
);

onlyOn('namespace', () =>
  test('a session is not hidden by another connection from the same port, to another address of the server', async () => {
    const [stays, goes] = [await client.newKey(), await client.newKey()];
    await grant(server, 'repos/hidden', stays, goes);
    const localPort = await freePort();
    const relay = `const c = require('net').connect({ host: '127.0.0.1', port: ${server.port}, localPort: ${localPort} });
      process.stdin.pipe(c).pipe(process.stdout)`;
    const proxy = ['-N', '-o', `ProxyCommand=${process.execPath} -e "${relay.replaceAll(/\s+/g, ' ')}"`];
    const hidden = await openKnown('hidden', goes, { flags: proxy });
    const decoy = connect({ host: '127.0.0.2', port: server.port, localPort });
    await new Promise((resolve) => decoy.once('data', resolve));
    decoy.end('SSH-2.0-decoy\r\n');
    await new Promise((resolve) => decoy.once('close', resolve));
    // The log says nothing of the other connection's end. So the test waits for something later that the log does say.
    await letsIn(client, 'comes-later');
    await until('what sshd said so far to be read', () => server.log().includes('"comes-later"'));
    await writeKeyFile(server, 'repos/hidden', stays);
    await hidden.ended();
    await endedBecause('hidden', 'its key is gone');
  }),
);

test('an expiry-time that passes ends the session, without any pass', async () => {
  const [expires, later] = [await client.newKey(), await client.newKey()];
  const stamp = (milliseconds: number) =>
    `${new Date(Date.now() + milliseconds).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  const stay = withOptions(`expiry-time="${stamp(86_400_000)}"`, later);
  const begun = performance.now();
  await grant(server, 'repos/expiring', stay);
  const stays = await openKnown('expiring', later);
  // Two logins fit into this time, however slow this machine is.
  const time = 5000 + 5 * (performance.now() - begun);
  await grant(server, 'repos/expiring', withOptions(`expiry-time="${stamp(time)}"`, expires), stay);
  const ends = [await openKnown('expiring', expires), await openKnown('expiring', expires, BORG)];
  await Promise.all(ends.map((each) => each.ended()));
  await endedBecause('expiring', 'its key has expired');
  expect(stays.over()).toBe(false);
});

test('logins that began before the role of their account changed, and succeed after that, are ended, also two at once', async () => {
  const key = await client.newKey();
  await grant(server, 'repos/stalled', key);
  const stalled = [
    await stallLogin(server, client, 'stalled', key),
    await stallLogin(server, client, 'stalled', key),
    await stallLogin(server, client, 'stalled', key, BORG),
  ];
  keep(...stalled);
  await rename(keyFile('repos/stalled'), keyFile('repos-appendonly/stalled'));
  await update();
  await Promise.all(stalled.map((each) => each.goOn()));
  await Promise.all(stalled.map((each) => each.ended()));
  // Their clients may be gone before the server has said so.
  await until('the log to tell of one', () => /session opened.*"stalled"/.test(server.log()));
  await endedBecause('stalled', 'privilege');
});

test('a login that read the key before it was removed does not stay', async () => {
  const [key, other] = [await client.newKey(), await client.newKey()];
  await grant(server, 'repos/halfway', key, other);
  const stalled = await stallLogin(server, client, 'halfway', key);
  keep(stalled);
  await grant(server, 'repos/halfway', other);
  await stalled.goOn();
  expect((await stalled.ended()).exitCode).not.toBe(0);
});

test('a key file that is rewritten in place, truncated first, ends nobody', async () => {
  const [kept, added] = [await client.newKey(), await client.newKey()];
  for (let times = 1; ; times += 1) {
    const account = `rewritten${times}`;
    await grant(server, `repos/${account}`, kept);
    const [idle, busy] = [await openKnown(account, kept), await openKnown(account, kept, BORG)];
    const wasShort = await rewriteInPlace(server, `repos/${account}`, added, kept);
    await letIn(client, account, added);
    if (!wasShort && times < 20) continue;
    expect(wasShort).toBe(true);
    expect([idle.over(), busy.over()]).toEqual([false, false]);
    expect(server.log()).not.toMatch(new RegExp(`session ended.*"${account}"`));
    return;
  }
});

test('update-borgusers ends at once the sessions of what is gone', async () => {
  const key = await client.newKey();
  await grant(server, 'repos/now', key);
  const session = await openKnown('now', key);
  const from = performance.now();
  await rm(keyFile('repos/now'));
  await update();
  const after = performance.now();
  await session.ended();
  console.log(`update-borgusers: ${Math.round(after - from)} ms; ssh ended ${Math.round(performance.now() - from)} ms`);
  await expect(openConnection(client, 'now', key).ssh).resolves.toMatchObject({ exitCode: 255 });
});
