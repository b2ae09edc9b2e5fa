import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { look } from '../soak/server-processes.ts';
import type { Key } from './harness/client.ts';
import { locksLeft } from './harness/held-lock.ts';
import { logged } from './harness/json-log.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { createMemoryGroup } from './harness/memory-group.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { keepFromForking, moveInto } from './harness/process-in-cgroup.ts';
import type { Finished, Running } from './harness/program.ts';
import { type Call, open, request, requests } from './harness/raw-borg.ts';
import { TARGET } from './harness/server.ts';
import { sessionsOf } from './harness/sessions.ts';
import { fill } from './harness/small-disk.ts';
import { updated } from './harness/updated.ts';

// Revocation works and new clients are served while clients flood, the session host lacks something, or the server is killed.

/** How many sessions of each account begin at once. */
const MOST = 10;
const ENV = {
  ...{ RESYNC_SECONDS: '86400', LOG_FORMAT: 'json', SESSION_HOST: 'yes' },
  SESSIONS_PER_ACCOUNT: String(MOST),
};

ownServer({ env: ENV });

const hostPid = (): Promise<number> => until('the session host', async () => (await look(server)).host?.pid);
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];
const put = (bytes: number): Call => ['put', { id: Buffer.alloc(32, 'x'), data: Buffer.alloc(bytes) }];
const get: Call = ['get', { id: Buffer.alloc(32, 'x') }];

/** All processes that serve borg to an account, found in one look. */
const borgs = async () => {
  const { stdout } = await server.look(['sh', '-c', BORGS], { reject: false });
  return stdout.split('\n').flatMap((line) => {
    const [, pid, account] = /^(\d+) .* --account (\S+) /.exec(line) ?? [];
    return account === undefined ? [] : [{ pid: Number(pid), account, hosted: line.includes(' --hosted ') }];
  });
};
const BORGS = `for each in $(grep -la 'borg-serve' /proc/[0-9]*/cmdline 2>/dev/null | grep -v '/self/'); do
  words=$(tr '\\0' ' ' <$each)
  case $words in *session-client*) ;; *) each=\${each#/proc/}; echo "\${each%/cmdline} $words" ;; esac
done 2>/dev/null`;

type Flood = { readonly ssh: Running; readonly over: () => Finished | undefined };

/** A session with the lock of its repository. It gets one call after the other, as fast as it takes them. */
const flood = async (account: string, key: Key, call: Call, reads: boolean): Promise<Flood> => {
  const ssh = client.ssh(account, ['borg', 'serve'], { key, input: 'pipe', reject: false });
  let how: Finished | undefined;
  void ssh.then((end) => {
    how = end;
  });
  ssh.stdin?.on('error', () => {});
  ssh.stdin?.write(requests(open(`/repos/${account}`, { create: true, exclusive: true }), put(1_000_000), COMMIT));
  await until('the lock to be held', async () =>
    (await readdir(join(server.repos, account))).includes('lock.exclusive'),
  );
  if (!reads) ssh.stdout?.pause();
  const calls = Buffer.concat(Array.from({ length: 50 }, (_, index) => request(index + 10, call)));
  void (async () => {
    for (; how === undefined; )
      if (ssh.stdin?.write(calls) === false) await Promise.race([once(ssh.stdin, 'drain').catch(() => {}), ssh]);
  })();
  return { ssh, over: () => how };
};

/** Resolves once nothing that is sent gets any farther: the session waits for its client to read. */
const untilStuck = (ssh: Running): Promise<true> => {
  let [last, times] = [-1, 0];
  return until('the session to wait', () => {
    const now = ssh.stdin?.writableLength ?? 0;
    times = now > 0 && now === last ? times + 1 : 0;
    last = now;
    return times >= 10 || undefined;
  });
};

const FLOODS = [
  { name: 'sends', call: put(100_000), reads: true },
  { name: 'waits', call: get, reads: false },
];
const WAYS = ['operator', 'removed', 'host-died'] as const;

test('a session whose client sends as fast as it can, or does not read, is ended at once with its key or by an operator, also where its host has died', async () => {
  const keys = Object.fromEntries(await Promise.all(WAYS.map(async (way) => [way, await client.newKey()] as const)));
  const wanted = WAYS.flatMap((way) =>
    FLOODS.map((flooding) => ({ ...flooding, way, account: `${flooding.name}-${way}` })),
  );
  const keyOf = (way: string): Key => keys[way] ?? client.key;
  for (const { account, way } of wanted) await writeKeyFile(server, `repos/${account}`, keyOf(way));
  await updated(server);
  const floods = await Promise.all(
    wanted.map(async (each) => ({ ...each, ...(await flood(each.account, keyOf(each.way), each.call, each.reads)) })),
  );
  for (const { reads, ssh } of floods) if (!reads) await untilStuck(ssh);
  expect((await borgs()).map(({ account, hosted }) => [account, hosted]).sort()).toEqual(
    floods.map(({ account }) => [account, true]).sort(),
  );
  for (const way of WAYS) {
    const ended = floods.filter((each) => each.way === way);
    expect(ended.map(({ over }) => over())).toEqual(ended.map(() => undefined));
    if (way === 'host-died') await server.exec(['kill', '-KILL', String(await hostPid())]);
    if (way === 'operator') {
      for (const { account } of ended) await server.exec(['borgserver', 'sessions', 'end', account]);
    } else {
      for (const { account } of ended) await rm(join(server.sshkeys, 'repos', account));
      await updated(server);
    }
    const accounts = new Set(ended.map(({ account }) => account));
    await until('their borg to be gone', async () => !(await borgs()).some(({ account }) => accounts.has(account)));
    for (const { account, ssh } of ended) {
      // It ends by TERM, as any other session, and gives its lock back.
      expect([account, await locksLeft(server, account)]).toEqual([account, []]);
      ssh.stdout?.resume();
      expect((await ssh).exitCode).not.toBe(0);
      expect(await letsIn(client, account, keyOf(way))).toBe(way === 'operator');
    }
  }
});

/** A session that has a repository open, and stays. */
const begin = (account: string, key = client.key, more = {}) => {
  const ssh = client.ssh(account, ['borg', 'serve'], { key, input: 'pipe', reject: false });
  let said = '';
  ssh.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  ssh.stdin?.on('error', () => {});
  ssh.stdin?.write(requests(open(`/repos/${account}`, more)));
  const end = (): Running => {
    ssh.stdin?.end();
    return ssh;
  };
  // The answer to the second request: the first one only greets.
  return { ssh, end, said: () => said, isOpen: () => said.includes('\xa1i\x02\xa1r') };
};

/** Takes something from the session host, and gives it back. died: the host has died, and new sessions begin in another one. */
type Lack = {
  readonly what: string;
  readonly died: boolean;
  readonly take: (host: number) => Promise<() => Promise<void>>;
};

const setFiles = (host: number, soft: number | string) =>
  server.exec(['prlimit', '--pid', String(host), `--nofile=${soft}:`]);
/** A cgroup of the test's own: the engine may have others than the tests see, and a user namespace has none. */
const HAS_GROUPS = TARGET === 'namespace' && process.env.E2E_TARGET !== 'user-namespace';

const LACKS: readonly Lack[] = [
  {
    what: 'has no descriptor left',
    died: false,
    take: async (host) => {
      const limits = (await server.look(['cat', `/proc/${host}/limits`])).stdout;
      const { stdout } = await server.look(['ls', `/proc/${host}/fd`]);
      const taken = new Set(stdout.trim().split('\n').map(Number));
      for (let free = 0; ; free += 1) {
        if (taken.has(free)) continue;
        await setFiles(host, free);
        break;
      }
      return async () => void (await setFiles(host, /^Max open files +(\d+)/m.exec(limits)?.[1] ?? ''));
    },
  },
  {
    what: 'has died, and there is no room in /run',
    died: true,
    take: async (host) => {
      const { free } = await fill(server, '/run');
      const before = logged(server, 'the session host runs again').length;
      await server.exec(['kill', '-KILL', String(host)]);
      await until('another to serve', () => logged(server, 'the session host runs again').length > before);
      return free;
    },
  },
  ...(HAS_GROUPS
    ? [{ what: 'can fork no process', died: false, take: async (host: number) => keepFromForking(server, host) }]
    : []),
];

test.each(LACKS)(
  'where the host $what new clients are served, sessions go on, and a key that is removed ends its session',
  async ({ what, died, take }) => {
    const [leaving, staying, coming, last] = ['leaving', 'staying', 'coming', 'last'].map(
      (name) => `${name}-${LACKS.findIndex((each) => each.what === what)}`,
    ) as [string, string, string, string];
    const key = await client.newKey();
    await writeKeyFile(server, `repos/${leaving}`, key);
    for (const account of [staying, coming, last]) await writeKeyFile(server, `repos/${account}`, client.key);
    await updated(server);
    /** A session with the lock of its repository. */
    const hold = async (account: string, own = client.key) => {
      const session = begin(account, own, { create: true, exclusive: true });
      await until('a session to begin', () => session.isOpen());
      return session;
    };
    const of = async (name: string) => (await borgs()).filter(({ account }) => account === name);
    const [leaves, stays] = [await hold(leaving, key), await hold(staying)];
    const before = await of(staying);
    expect(before).toEqual([expect.objectContaining({ hosted: true })]);
    const host = await hostPid();
    const giveBack = await take(host);
    try {
      const comes = await hold(coming);
      expect(await of(coming)).toEqual([expect.objectContaining({ hosted: died })]);
      // The session ends before the host gets anything back. So the host has kept nothing that the client handed over to it.
      expect((await comes.end()).exitCode).toBe(0);
      await rm(join(server.sshkeys, 'repos', leaving));
      // With a full /run the command cannot write down what it has done, and fails.
      await server.exec(['update-borgusers'], { reject: false });
      await until('its session to be gone', async () => (await of(leaving)).length === 0);
      expect(await locksLeft(server, leaving)).toEqual([]);
      expect(await letsIn(client, leaving, key)).toBe(false);
      expect((await leaves.end()).exitCode).not.toBe(0);
      expect(await of(staying)).toEqual(before);
    } finally {
      await giveBack();
    }
    await updated(server);
    stays.ssh.stdin?.write(request(3, ['__len__', {}]));
    await until('an answer', () => stays.said().includes('\xa1i\x03\xa1r'));
    // Nobody knows how a session ends whose host has died.
    expect((await stays.end()).exitCode).toBe(died ? 1 : 0);
    await hostPid();
    const lasts = await hold(last);
    expect(await of(last)).toEqual([expect.objectContaining({ hosted: true })]);
    expect((await lasts.end()).exitCode).toBe(0);
  },
);

/** The test watches the list of sessions for longer than the server lets a process stay that belongs to no session. */
const WATCHED_MS = 5000;

test('a session that begins while the daemon stands still, and whose host then dies, goes on and is known', async () => {
  await grant(server, 'repos/unheard', client.key);
  const { daemon } = await look(server);
  const host = await hostPid();
  const before = logged(server, 'the session host runs again').length;
  const signal = (name: string, pid: number | undefined) => server.exec(['kill', `-${name}`, String(pid)]);
  await signal('STOP', daemon);
  const session = begin('unheard', client.key, { create: true, exclusive: true });
  try {
    await until('a session to begin', () => session.isOpen());
    await signal('KILL', host);
  } finally {
    await signal('CONT', daemon);
  }
  await until('another host', () => logged(server, 'the session host runs again').length > before);
  const [serves] = (await borgs()).filter(({ account }) => account === 'unheard');
  expect(serves).toMatchObject({ hosted: true });
  const known = {
    account: 'unheard',
    role: 'repo',
    address: expect.stringMatching(/^[\d.:a-f]+$/),
    borg: [serves?.pid],
  };
  for (const end = performance.now() + WATCHED_MS; performance.now() < end; )
    expect((await sessionsOf(server)).filter(({ account }) => account === 'unheard')).toEqual([
      expect.objectContaining(known),
    ]);
  session.ssh.stdin?.write(request(3, ['__len__', {}]));
  await until('an answer', () => session.said().includes('\xa1i\x03\xa1r'));
  expect((await session.end()).exitCode).toBe(1);
  expect(await locksLeft(server, 'unheard')).toEqual([]);
});

/** Bytes of a request that never ends: more than any complete request of borg's, and less than a session is ended for. */
const HALF = 40_000_000;
/** Bytes for the host and all its sessions. */
const MEMORY = 150e6;

if (HAS_GROUPS) {
  test('where memory runs out, a session that has much of it is ended, not the host and not a session that has little', async () => {
    const key = await client.newKey();
    await writeKeyFile(server, 'repos/greedy', key);
    await writeKeyFile(server, 'repos/modest', client.key);
    await updated(server);
    const group = createMemoryGroup(MEMORY);
    const host = await hostPid();
    moveInto(group.folder, server, host);
    try {
      const modest = begin('modest', client.key, { create: true, exclusive: true });
      await until('it to begin', () => modest.isOpen());
      // The session keeps all of a request that never ends.
      const half = request(3, ['put', { id: Buffer.alloc(32), data: Buffer.alloc(HALF + 1000) }]).subarray(0, HALF);
      const greedy = Array.from({ length: MOST }, () => begin('greedy', key, { create: true }));
      for (const { ssh } of greedy) ssh.stdin?.write(half);
      await until('the memory to run out', () => group.ended() > 0);
      expect(await hostPid()).toBe(host);
      const after = begin('modest');
      await until('another to begin', () => after.said().includes('server_version'));
      await rm(join(server.sshkeys, 'repos/greedy'));
      await updated(server);
      await Promise.all(greedy.map(({ ssh }) => ssh));
      // A session whose memory the kernel is taking back may outlive its connection for a moment.
      await until(
        'their borg to be gone',
        async (saw) => !saw(await borgs()).some(({ account }) => account === 'greedy'),
      );
      for (const each of [modest, after]) expect((await each.end()).exitCode).toBe(0);
      expect(await hostPid()).toBe(host);
    } finally {
      await group.remove();
    }
  });
}

const ACCOUNTS = ['first', 'second', 'third', 'fourth', 'fifth'] as const;
/** SERVER_KILLS=20 for the record. */
const KILLS = Number(process.env.SERVER_KILLS ?? 1);

test('when the server is killed while sessions begin, none stays, no key that is gone opens one, and the next ones are counted right', async () => {
  const lost = await client.newKey();
  for (const account of ACCOUNTS) await writeKeyFile(server, `repos/${account}`, client.key);
  await writeKeyFile(server, 'repos/lost', lost);
  await updated(server);
  for (const account of ACCOUNTS) expect((await begin(account, client.key, { create: true }).end()).exitCode).toBe(0);
  expect((await begin('lost', lost, { create: true }).end()).exitCode).toBe(0);
  const crowd = () => ACCOUNTS.flatMap((account) => Array.from({ length: MOST }, () => begin(account)));

  for (let kills = 0; kills < KILLS; kills += 1) {
    if (kills > 0) await grant(server, 'repos/lost', lost);
    const { daemon } = await look(server);
    const begun = [begin('lost', lost), ...crowd()];
    const served = randomInt(begun.length);
    await until('some to be served', () => begun.filter((each) => each.isOpen()).length >= served);
    await server.exec(['kill', '-KILL', String(daemon)], { reject: false });
    expect(await server.ended()).not.toBe(0);
    for (const { ssh } of begun) expect((await ssh).exitCode).not.toBe(0);
    await rm(join(server.sshkeys, 'repos/lost'));
    await server.start();
    expect(await sessionsOf(server)).toEqual([]);
    expect(await letsIn(client, 'lost', lost)).toBe(false);
    expect(await borgs()).toEqual([]);
  }

  // As many as are allowed begin: nothing that was held before counts.
  const now = Array.from({ length: MOST }, () => begin('first'));
  await until('all to be served', () => now.every((each) => each.isOpen()));
  expect((await sessionsOf(server)).filter(({ account }) => account === 'first')).toHaveLength(MOST);
  expect((await begin('first').end()).exitCode).not.toBe(0);
  for (const each of now) expect((await each.end()).exitCode).toBe(0);
  // No lock of a session that was killed is in anybody's way.
  for (const account of ACCOUNTS) {
    const alone = begin(account, client.key, { exclusive: true });
    expect((await alone.end()).exitCode).toBe(0);
    expect([account, alone.isOpen()]).toEqual([account, true]);
  }
});
