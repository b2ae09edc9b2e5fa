import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { until } from '../e2e/harness/machine.ts';
import { heard, prepareHost, type RealHost, ROLES, removeHost, startClient, startHost } from './hosted-session.ts';
import type { Change } from './launcher-without.ts';

// Somebody may take over a process of an account before it has become a client of the host. What he could do at the host's door:
// door_attacks.py.

const UID = 30_111;
let folder = '';
let host: RealHost;
const running: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  // Some of the attacks never say that they wait. Their sessions end by themselves.
  const changes: Change[] = [['launcher/hosted.py', '\nPATIENCE = 120\n', '\nPATIENCE = 10\n']];
  folder = await prepareHost({ sessions: 100, uid: UID, changes });
  host = await startHost(folder);
});

afterAll(() => {
  // With their children: each is a group of its own.
  for (const { pid } of running) if (pid) signalGroup(pid, 'SIGKILL');
  host?.child.kill('SIGKILL');
  removeHost(folder);
});

const door = () => `${folder}/sessions/repo/door`;

/** Runs the attacks as the account, below a process of root's. */
const attack = (at: string, ...words: readonly string[]): ChildProcessWithoutNullStreams => {
  const login = `setpriv --reuid ${UID} --regid ${ROLES.repo} --groups ${ROLES.repo},${UID} "$PYTHON" -I "$SCRIPT" "$@"; exit $?`;
  const started = spawn('/bin/sh', ['-c', login, 'sh', at, 'web01', 'web02', ...words], {
    detached: true,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      PYTHON: findBorg().python,
      SCRIPT: join(import.meta.dirname, 'door_attacks.py'),
    },
  });
  running.push(started);
  return started;
};

const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
};

/** Another client asks for a version. Resolves with the milliseconds that it took. */
const other = async (): Promise<number> => {
  const began = performance.now();
  const client = startClient(folder, { account: 'web02', uid: UID + 1, command: 'borg --version' });
  expect(await heard(client)).toEqual({ code: 0, out: expect.stringMatching(/^borg \d/), error: '' });
  return performance.now() - began;
};

/** What the host has: descriptors by kind, and memory of its own in kB. */
const held = () => {
  const of = `/proc/${host.child.pid}`;
  const files = readdirSync(`${of}/fd`).length;
  return { files, memory: Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`${of}/status`, 'utf8'))?.[1]) };
};

const SERVED = [
  ...[
    'sockets',
    'a listening socket',
    'a netlink socket',
    'a folder',
    'no file, only a path',
    'its own memory',
    'an epoll',
    'cycles',
  ],
  ...['itself', 'not text in a command', 'go at once', 'credentials', 'goes twice', 'floods after', 'passed on'],
];
const FILLING = ['cycles', 'floods after'];
const REFUSED = [
  ...[
    'no descriptor',
    'one',
    'two',
    'four',
    '200',
    'the most',
    'another name',
    'no name',
    'a name of two lines',
    'no text',
  ],
  ...['nothing', 'nothing with descriptors', 'one byte', 'too much', 'a good beginning of too much', 'two good ones'],
  ...['a word that is none', 'nothing for go', 'never goes'],
];

/** Everything that the process has written, once it has ended. */
const saidBy = async (attacks: ChildProcessWithoutNullStreams): Promise<string> => {
  let said = '';
  for (const stream of [attacks.stdout, attacks.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  await once(attacks, 'close');
  return said.trim();
};

test('whatever is said at the door, its sender is served or refused, and nothing of the message stays in the host', async () => {
  await other();
  await until('the host to have no session', () => host.of('ended').length === host.of('began').length);
  const before = held();
  const all = [...SERVED, ...REFUSED, 'two doors'];
  // The kernel bounds how many descriptors of one user id may be on their way. The attacks that use them up come last.
  const first = await saidBy(attack(door(), ...all.filter((each) => !FILLING.includes(each))));
  const filling = await saidBy(attack(door(), ...FILLING));
  expect([...first.split('\n'), ...filling.split('\n')].sort()).toEqual(
    [
      ...SERVED.map((each) => `${each}: served`),
      ...REFUSED.map((each) => `${each}: refused`),
      'two doors: served at one',
    ].sort(),
  );
  const [itself] = await until('all but one session to end', () => {
    const ended = new Set(host.of('ended').map(({ pid }) => pid));
    const left = host.of('began').filter(({ pid }) => !ended.has(pid));
    return left.length === 1 && left;
  });
  // This session holds its client's end of the connection, so that only the daemon sees that the client is gone.
  process.kill(Number(itself?.pid), 'SIGTERM');
  await until('the last session to end', () => host.of('ended').length === host.of('began').length);
  await until('the descriptors to be closed', () => held().files === before.files);
  expect(held().memory - before.memory).toBeLessThan(1000);
  expect(host.of('trouble')).toEqual([]);
  await other();
});

test.each(['gone', 'behind'])(
  'nobody waits while the host closes descriptors that take long to close (%s)',
  async (way) => {
    const attacks = attack(door(), `lingers, ${way}`);
    await once(attacks.stdout, 'data');
    await other();
    attacks.stdin.end();
    await once(attacks, 'close');
    await until('the session to be over', () => host.of('ended').length === host.of('began').length);
  },
);

/** CPU seconds that a process has used (proc_pid_schedstat(5): nanoseconds). */
const used = (pid: number): number => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;

const CROWD = 100;

test('a client that is gone again costs the host far less than one that is served, so that nobody waits long behind a crowd of them', async () => {
  const pid = host.child.pid ?? 0;
  const costOf = async (size: number): Promise<number> => {
    // Stopped, so that all of them are in the queue and gone before the host sees the first.
    process.kill(pid, 'SIGSTOP');
    const crowd = attack(door(), 'crowd', String(size));
    let gone = 0;
    crowd.stdout.on('data', (chunk: Buffer) => {
      gone += chunk.length;
    });
    await until('the crowd to have gone', () => gone === size);
    const before = used(pid);
    process.kill(pid, 'SIGCONT');
    await other();
    const after = used(pid);
    crowd.stdin.end();
    await once(crowd, 'close');
    return after - before;
  };
  // Other work on the machine only ever makes a try dearer.
  const cheapest = async (size: number): Promise<number> =>
    Math.min(await costOf(size), await costOf(size), await costOf(size));
  const [one, many] = [await cheapest(0), await cheapest(CROWD)];
  // A fifth of the one client that is served is usual. It is fifty times as much if the host asks who each client was, and forks a
  // session for each request.
  expect((many - one) / one).toBeLessThan(5);
});
