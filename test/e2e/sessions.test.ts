import { chmod, chown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Key } from './harness/client.ts';
import { holdLock, waitingForLock } from './harness/held-lock.ts';
import { logged } from './harness/json-log.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { SETTINGS_OF_THIS_RUN, until } from './harness/machine.ts';
import { ownConnections } from './harness/own-connections.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { open, requests } from './harness/raw-borg.ts';
import { known, listedByCommand, openConnection, sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { borgsOf } from './isolation/processes.ts';

ownServer({ env: { RESYNC_SECONDS: '86400', LOG_FORMAT: 'json' } });
const { keep, openKnown } = ownConnections();

const BORG = { flags: [], words: ['borg', 'serve'] };
/** The trail's lines with this message. */
const trail = (message: string) => logged(server, message);
const end = (selector: string) => server.exec(['borgserver', 'sessions', 'end', selector], { reject: false });

const ACCOUNTS = 10;
const KEYS = 5;

test('fifty sessions at once, each with a key of its own, are attributed rightly, and again when they come back', async () => {
  const names = Array.from({ length: ACCOUNTS }, (_, index) => `many${index}`);
  const owners: { account: string; key: Key; comment: string }[] = [];
  for (const account of names) {
    const keys = await Promise.all(Array.from({ length: KEYS }, () => client.newKey()));
    await writeKeyFile(server, `repos/${account}`, ...keys);
    owners.push(...keys.map((key) => ({ account, key, comment: key.public.split(' ')[2] ?? '' })));
  }
  await updated(server);
  const place = ({ account, key }: { account: string; key: Key }) =>
    owners.filter((each) => each.account === account).findIndex((each) => each.key === key) + 1;

  const everybody = () =>
    until('everybody to be known', async (saw) => {
      const all = saw((await sessionsOf(server)).filter(({ account }) => account.startsWith('many')));
      return all.length === owners.length ? all : undefined;
    });
  const rightly = (all: Awaited<ReturnType<typeof everybody>>) => {
    for (const owner of owners) {
      const found = all.filter(({ fingerprint }) => fingerprint === owner.key.fingerprint);
      expect(found).toMatchObject([
        {
          account: owner.account,
          role: 'repo',
          comment: owner.comment,
          file: `/sshkeys/repos/${owner.account}`,
          line: place(owner),
        },
      ]);
    }
  };
  // Every other one runs borg; the rest are idle, so that nothing but sshd's lines tells whose they are.
  const open = (each: { account: string; key: Key }, index: number) =>
    openConnection(client, each.account, each.key, index % 2 === 0 ? BORG : {});
  const first = owners.map(open);
  keep(...first);
  rightly(await everybody());
  await until('every other one to run borg', async () => {
    const running = (await sessionsOf(server)).filter(({ borg }) => borg.length > 0).map((each) => each.fingerprint);
    const wanted = owners.filter((_, index) => index % 2 === 0).map(({ key }) => key.fingerprint);
    return wanted.every((each) => running.includes(each)) && running.length === wanted.length;
  });

  const again = first.filter((_, index) => index % 3 === 0);
  for (const { ssh } of again) ssh.kill();
  await Promise.all(again.map((each) => each.ended()));
  keep(...owners.flatMap((each, index) => (index % 3 === 0 ? [open(each, index)] : [])));
  const later = await everybody();
  rightly(later);
  expect(new Set(later.map(({ address, port }) => `${address} ${port}`)).size).toBe(owners.length);

  // Every line of the trail says the same of the same connection.
  for (const line of [...trail('session opened'), ...trail('session closed')]) {
    const owner = owners.find(({ key }) => key.fingerprint === line.fingerprint);
    expect(line).toMatchObject({ account: owner?.account, role: 'repo', comment: owner?.comment });
  }
  await until('the log to name every opening', () => trail('session opened').length === owners.length + again.length);

  // A key that is removed ends its own connection, and none of the others.
  const [gone] = owners;
  await writeKeyFile(
    server,
    'repos/many0',
    ...owners.filter((each) => each.account === 'many0' && each !== gone).map(({ key }) => key),
  );
  await until('the connections of the key to end', async () => {
    const all = (await sessionsOf(server)).filter(({ account }) => account.startsWith('many'));
    return all.length === owners.length - 1 && all.every((each) => each.fingerprint !== gone?.key.fingerprint);
  });
  // The line comes once another look has found nothing of the connection.
  await until('the line about it', () => trail('session ended').length > 0);
  expect(trail('session ended')).toHaveLength(1);
});

test('the table tells a person what runs, the bytes, and since when', async () => {
  const key = await client.newKey();
  await grant(server, 'repos-appendonly/table', key);
  const begun = Date.now();
  await openKnown('table', key, BORG);
  const view = await until('borg to run', async () =>
    (await known(server, 'table', key)).find(({ borg }) => borg.length === 1),
  );
  expect(view.received === null || view.received > 1000).toBe(true);
  expect(view.since).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  // The kernel counts the beginning of a process in ticks since its own.
  expect(Date.parse(view.since)).toBeGreaterThan(begun - 2000);
  expect(Date.parse(view.since)).toBeLessThan(Date.now() + 2000);
  // Bytes, CPU and memory may grow from one look to the next.
  const { received, sent, cpuSeconds, peakMemory, ...same } = view;
  const listed = (await listedByCommand(server)).find(({ port }) => port === view.port);
  expect(listed).toMatchObject(same);
  expect(Object.keys(listed ?? {}).sort()).toEqual(Object.keys(view).sort());
  const { stdout } = await server.exec(['borgserver', 'sessions']);
  expect(stdout).toMatch(/^ACCOUNT +ROLE +FROM +SINCE +IN +OUT +CPU +MEMORY +RUNS +KEY/);
  expect(stdout).toMatch(new RegExp(`table +append-only +\\S+:${view.port} .* borg ${view.borg[0]} `));
  expect(stdout).toContain(key.fingerprint.slice(0, 15));
  expect(view.cpuSeconds).toBeGreaterThanOrEqual(0);
  expect(view.peakMemory).toBeGreaterThan(5_000_000);
});

test('watched on a terminal, the table is drawn anew in its place, and fits', async () => {
  const [one, two] = [await client.newKey(), await client.newKey()];
  await grant(server, 'repos/watched', one, two);
  const watching = server.terminal(['borgserver', 'sessions', '--watch'], { columns: 60, rows: 12, reject: false });
  keep({ ssh: watching, key: one, over: () => false, ended: () => watching });
  let shown = '';
  watching.stdout?.on('data', (chunk) => {
    shown += chunk;
  });
  /** What a person sees: the complete lines since the screen was last cleared. */
  const screen = () => shown.split('\x1b[H\x1b[J').at(-1)?.split('\r\n').slice(0, -1) ?? [];
  const rows = () => screen().filter((line) => line.startsWith('watched '));
  await until('an empty screen', () => shown.startsWith('\x1b[H\x1b[J') && rows().length === 0);
  await openKnown('watched', one);
  await until('the session to be on the screen', () => rows().length === 1);
  expect(screen()[0]).toMatch(/^ACCOUNT +ROLE/);
  await openKnown('watched', two);
  await until('both to be on the screen', () => rows().length === 2);
  for (const line of screen()) expect([...line].length).toBeLessThanOrEqual(60);
  await end('watched');
  await until('both to be gone', () => screen().length > 0 && rows().length === 0);
  watching.stdin?.write('\x03');
  expect((await watching).exitCode).toBe(130);
});

test('an operator ends sessions by account, by fingerprint, and by address and port', async () => {
  const [one, two] = [await client.newKey(), await client.newKey()];
  await grant(server, 'repos/ended', one, two);
  const byPort = await openKnown('ended', one);
  const port = (await known(server, 'ended', one))[0];
  const byKey = await openKnown('ended', one, BORG);
  const byName = await openKnown('ended', two);
  const address = (await known(server, 'ended', two))[0]?.address;

  expect((await end(`${address}:${port?.port}`)).exitCode).toBe(0);
  await byPort.ended();
  expect([byKey.over(), byName.over()]).toEqual([false, false]);
  expect((await end(one.fingerprint)).stdout).toContain(`ended ended ${one.fingerprint} from ${address}:`);
  await byKey.ended();
  expect(byName.over()).toBe(false);
  expect((await end('ended')).exitCode).toBe(0);
  await byName.ended();
  await until('the trail to say so', () => {
    const lines = trail('session ended').filter(({ account }) => account === 'ended');
    return lines.length === 3 && lines.every(({ reason }) => reason === 'an operator ended it');
  });
  await openKnown('ended', one);
  expect((await end('nobody')).exitCode).toBe(1);
});

test('a borg that waits for a lock does not outlive the client that asked for it', async () => {
  const url = client.url('waits');
  await grant(server, 'repos/waits', client.key);
  const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };
  await client.borg(['init', '-e', 'none', url], { env });
  const held = await holdLock(server, client, 'waits', url, { env });
  const waiting = client.ssh('waits', ['borg serve'], { input: 'pipe', reject: false });
  waiting.stdin?.write(requests(open('/repos/waits', { lock_wait: 120 })));
  await waitingForLock(server, 'waits');
  waiting.kill('SIGKILL');
  const borgs = () => borgsOf(server, 'waits');
  await until('only the holder of the lock to be left', async () => (await borgs()).length === 1 || undefined);
  expect((await borgs()).map(({ pid }) => pid)).toEqual([held.pid]);
  expect((await held.release()).exitCode).toBe(0);
});

/** Does the work. Resolves with the log's line about the end of the account's session that this has ended. */
const nextEnd = async (account: string, work: () => Promise<unknown>): Promise<Record<string, unknown>> => {
  const ends = () => trail('session closed').filter((line) => line.account === account);
  const before = ends().length;
  await work();
  await until(`a session of ${account} to end`, () => ends().length > before);
  return ends().at(-1) ?? {};
};
const statusOf = async (account: string) => {
  const { stdout } = await server.exec(['borgserver', 'status', '--json'], { reject: false });
  const found = JSON.parse(stdout).repositories.find(({ name }: { name: string }) => name === account);
  return found.marks.map(({ text }: { text: string }) => text).filter((text: string) => text.startsWith('FAILED'));
};

test('the log tells of a session that failed by the server, and status does until one has ended well; a failure of the client is not told', async () => {
  await grant(server, 'repos/ends', client.key);
  const url = client.url('ends');
  const borg = (...words: string[]) => client.borg(words, { reject: false, cwd: client.home });
  const first = await nextEnd('ends', () => borg('init', '--encryption', 'repokey-blake2', url));
  expect(first).not.toHaveProperty('ended');
  // Only the session host tells what a session has used, once it is over.
  const isTold = Number(first.cpuSeconds) > 0 && Number(first.peakMemory) > 5_000_000;
  expect(isTold).toBe(SETTINGS_OF_THIS_RUN.SESSION_HOST !== 'no');
  const data = join(server.repos, 'ends/data/0');
  const { uid, gid } = await stat(data);

  // Somebody has copied files in as root.
  await chown(data, 0, 0);
  await chmod(data, 0o755);
  const failed = await nextEnd('ends', () => borg('create', `${url}::first`, '.ssh'));
  expect(failed).toMatchObject({ ended: expect.stringMatching(/^permission denied/) });
  const warnings = trail('a session failed, and not by its client').filter(({ account }) => account === 'ends');
  expect(warnings).toEqual([expect.objectContaining({ level: 'warn', repository: 'ends', cause: failed.ended })]);
  expect(await statusOf('ends')).toEqual([expect.stringMatching(/^FAILED .* ago: permission denied/)]);
  expect((await server.exec(['borgserver', 'status'], { reject: false })).exitCode).toBe(1);

  await chown(data, uid, gid);
  await chmod(data, 0o2770);
  // A session that has only read does not show that the repository can be written to.
  expect(await nextEnd('ends', () => borg('list', url))).not.toHaveProperty('ended');
  expect((await statusOf('ends')).length).toBe(1);
  expect(await nextEnd('ends', () => borg('create', `${url}::first`, '.ssh'))).not.toHaveProperty('ended');
  await until('the mark to go', async () => (await statusOf('ends')).length === 0);

  // Failures of the client: another passphrase, a client that is killed, and one that asks for somebody else's repository.
  const wrong = { env: { BORG_PASSPHRASE: 'wrong' }, reject: false };
  expect(await nextEnd('ends', () => client.borg(['list', url], wrong))).not.toHaveProperty('ended');
  const held = await holdLock(server, client, 'ends', url);
  const killed = await nextEnd('ends', async () => {
    held.borg.kill('SIGKILL');
    await held.borg;
  });
  expect(killed).not.toHaveProperty('ended');
  expect(await statusOf('ends')).toEqual([]);
  // borg itself tells a client that it may not delete the whole repository.
  await server.exec(['borgserver', 'borg', 'config', 'ends', 'append_only', '1']);
  const sure = { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' }, reject: false };
  expect(await nextEnd('ends', () => client.borg(['delete', url], sure))).not.toHaveProperty('ended');
  expect(await statusOf('ends')).toEqual([]);
  const refused = await nextEnd('ends', () => borg('list', client.url('ends', 'many0')));
  expect(refused).toMatchObject({ ended: expect.stringMatching(/^it asked for a path/) });
  expect(await nextEnd('ends', () => borg('list', url))).not.toHaveProperty('ended');
  await until('the mark to go', async () => (await statusOf('ends')).length === 0);
});

/** What a borg that was taken over may do: it writes to the socket of all sessions, in its own name and in the name of others. */
const SPEAK = `
import socket
for word in ('no-space w forged', 'floor w neighbour', 'well w neighbour'):
    mouth = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mouth.connect('/run/borgserver/session-ends')
    mouth.settimeout(20)
    try:
        mouth.send(word.encode())
        mouth.recv(1)
    except OSError:
        pass  # each process is heard once
print('said')
`;

test('only a process of the same account below its connection can say how a session ended', async () => {
  for (const account of ['forged', 'neighbour']) await grant(server, `repos/${account}`, client.key);
  const become = 'exec setpriv --reuid="$(id -u "$0")" --regid="$(id -g "$0")" --clear-groups "$@"';
  const before = trail('a session failed, and not by its client').length;
  const session = await openKnown('forged', client.key, BORG);
  for (const account of ['forged', 'neighbour']) {
    const words = ['sh', '-c', become, account, 'python3', '-I', '-c', SPEAK];
    expect((await server.exec(words)).stdout).toBe('said\n');
  }
  const ended = await nextEnd('forged', async () => {
    session.ssh.kill();
    await session.ended();
  });
  expect(ended).not.toHaveProperty('ended');
  expect(trail('a session failed, and not by its client').length).toBe(before);
  expect(await statusOf('forged')).toEqual([]);
});
