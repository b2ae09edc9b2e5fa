import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { type Process, idOf as processId } from '../../src/sessions/process.ts';
import { listProcesses, readWords } from '../../src/sessions/processes.ts';
import { until } from '../e2e/harness/machine.ts';
import { type Call, open, requests } from '../e2e/harness/raw-borg.ts';
import { COLD, heard, prepareHost, removeHost, startClient, startHost } from './hosted-session.ts';
import { converse } from './launched-session.ts';
import { type LookedAfterHost, lookAfterHost } from './looked-after-host.ts';

// Ends the session host, one of its sessions and a client before each of their system calls, one call after the other. The daemon's code looks
// after the host, as ever. A client gets all its answers, each once, from one session. No process is left. The next client is served.

/** With HOST_KILLS=all each is ended before every call. Otherwise before some, beginning with another call each time: fewer and fewer, the
 * farther from the first call. */
const ALL = process.env.HOST_KILLS === 'all';
const STEPS = { host: 8, session: 40, client: 3, closing: 3 };

/** An account that every Debian has, and the image, too: a cold start looks it up. */
const ACCOUNT = { account: 'nobody', uid: 65_534 };
const TRACER = join(import.meta.dirname, 'tracer.py');
/** So many that one read(2) cannot take all of them. */
const OBJECTS = 40;
const COMMIT = ['commit', { save_space: false, compact: false, threshold: 0 }] as const;

let folder: string;
let host: LookedAfterHost;
let running: ChildProcess[] = [];

beforeAll(async () => {
  folder = await prepareHost(ACCOUNT);
  // The clients write there.
  chmodSync(folder, 0o777);
  host = await lookAfterHost(folder);
  await run('created');
});
afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  running = [];
});
afterAll(() => {
  host?.daemon.close();
  removeHost(folder);
});

const file = (name: string): string => join(folder, name);
const repository = (): string => file(`repos/${ACCOUNT.account}`);
const linesOf = (name: string): readonly string[] =>
  existsSync(file(name)) ? readFileSync(file(name), 'utf8').split('\n').slice(0, -1) : [];

/** The command that sshd's forced command has after the client. */
const cold = (): string => {
  const own = `--session "$SSH_CONNECTION" --account ${ACCOUNT.account} --sessions 50 --memory auto --min-free 1 --box auto`;
  const restriction = `--restrict-to-repository ${repository()}`;
  const launcher = `exec ${findBorg().python} -I ${folder}/borg-serve ${own} -- serve --umask 0007 ${restriction}`;
  return `echo cold >>${folder}/cold; export USER=${ACCOUNT.account} HOME=${repository()}; ${launcher}`;
};

/** A client that sends all its requests before anybody reads them. A process that reads a part takes it away from the one that serves. */
const run = async (name: string, by?: readonly string[]) => {
  rmSync(file('cold'), { force: true });
  const before = host.told.length;
  const client = startClient(folder, { ...ACCOUNT, cold: cold(), ...(by && { by }) });
  running.push(client);
  const data = (number: number) => Buffer.from(`${name} ${number} `.padEnd(2000, 'x'));
  const puts = Array.from(
    { length: OBJECTS },
    (_, number): Call => ['put', { id: idOf(name, number), data: data(number) }],
  );
  const first = open(repository(), { exclusive: true, create: name === 'created' });
  const last: Call = ['get', { id: idOf(name, 7) }];
  const { code, out, error } = await heard(client, requests(first, ...puts, COMMIT, last));
  return { code, said: out, error, cold: linesOf('cold').length, told: host.told.length - before };
};
const idOf = (name: string, number: number): Buffer => Buffer.from(`${name}-${number}`.padEnd(32, '.'));

/** Each request is answered once, and none with an exception. */
const expectAnswers = ({ said, ...rest }: Awaited<ReturnType<typeof run>>, name: string): void => {
  const numbers = Array.from({ length: OBJECTS + 4 }, (_, index) => index + 1);
  const times = (number: number) => said.split(`\xa1i${String.fromCharCode(number)}`).length - 1;
  expect(numbers.map(times).join(''), JSON.stringify(rest)).toBe('1'.repeat(numbers.length));
  expect([said.includes('exception'), said.includes(`${name} 7 `)]).toEqual([false, true]);
};

/** The locks that stop somebody. borg makes a lock beside its place: one that is not finished stops nobody. */
const locks = (): readonly string[] =>
  readdirSync(repository()).filter((name) => /^lock\.(exclusive|roster)$/.test(name));
/** Sessions, clients, and whatever a host has forked. */
const atWork = (): readonly Process[] => {
  const names = new Set([...host.told.map((each) => each.process)].map(processId));
  const hosts = new Set(host.hosts.map(({ pid }) => pid));
  return listProcesses().filter(
    (each) =>
      !each.ended &&
      (names.has(processId(each)) ||
        hosts.has(each.parent) ||
        readWords(each.pid).join(' ').includes(`${folder}/repos`)),
  );
};

/** Resolves once the tracing has begun. */
const trace = async (way: string, pid: number, number = 0): Promise<ChildProcess> => {
  rmSync(file('report'), { force: true });
  const tracer = spawn(findBorg().python, ['-I', TRACER, file('report'), way, String(pid), String(number)], {
    stdio: 'inherit',
  });
  running.push(tracer);
  await until('the process to be traced', () => linesOf('report').includes('traces'));
  return tracer;
};

/** A client that is traced from its first step on. */
const runTraced = async (name: string, way: string, number?: number) => {
  rmSync(file('pid'), { force: true });
  const stops = ['/bin/sh', '-c', `echo $$ >"$0"; kill -STOP $$; exec "$@"`];
  const found = run(name, ['/bin/sh', '-c', '"$@"; exit $?', 'sh', ...stops, file('pid')]);
  const pid = await until('the client to stop', () => Number(linesOf('pid')[0]) || undefined);
  await until('the client to stop', () => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  const tracer = await trace(way, pid, number);
  const result = await found;
  tracer.kill('SIGKILL');
  return result;
};

/** The system call before which the process was ended; undefined if it did not get so far. */
const endedBefore = (): string | undefined => linesOf('report').find((line) => line.startsWith('ended '));

const expectRest = async (): Promise<void> => {
  await until('the processes of the test to be gone', () => atWork().length === 0);
  expect(locks()).toEqual([]);
};

const walk = async (who: keyof typeof STEPS, at: (number: number) => Promise<boolean>): Promise<void> => {
  const step = ALL ? 1 : STEPS[who];
  const numbers: number[] = [];
  let number = randomInt(step) + 1;
  for (let goes = true; goes; number += step + (ALL ? 0 : Math.floor(number / 2))) {
    numbers.push(number);
    try {
      goes = await at(number);
    } catch (cause) {
      throw new Error(`the ${who} was to be ended before its call ${number}; ${endedBefore() ?? 'it was not'}`, {
        cause,
      });
    }
    await expectRest();
  }
  console.log(`${who}: before its calls ${numbers.join(', ')}`);
};

test('a client is served, whenever its host dies', async () => {
  await walk('host', async (number) => {
    const { pid } = await host.current();
    const tracer = await trace('host', pid, number);
    const name = `host-${number}`;
    const found = await run(name);
    tracer.kill('SIGKILL');
    const reached = endedBefore() !== undefined;
    expectAnswers(found, name);
    expect(found.cold === 1 ? 0 : found.told, 'a session that the daemon has not heard of').toBe(1 - found.cold);
    // The host is dead: nobody can tell the client how its session has ended.
    expect(found.cold === 0 && reached ? [0, 1] : [0]).toContain(found.code);
    if (reached) await until('another host', async () => (await host.current()).pid !== pid);
    return reached;
  });
});

test('a client is served, or knows that it is not, whenever its session dies', async () => {
  await walk('session', async (number) => {
    const tracer = await trace('session', (await host.current()).pid, number);
    const name = `session-${number}`;
    const found = await run(name);
    const reached = endedBefore() !== undefined;
    tracer.kill('SIGKILL');
    // The session has begun to read, so nobody else may read the rest of the stream.
    if (reached && found.cold === 0) expect(found).toMatchObject({ code: 128 + 9, told: 1 });
    else expectAnswers(found, name);
    if (found.cold === 1 || found.said === '') return reached;
    // The session may have been killed with a lock. The next session takes the lock away.
    expectAnswers(await run(`${name}-next`), `${name}-next`);
    return false;
  });
});

test('nothing is left of a client that dies, whenever that is', async () => {
  await walk('client', async (number) => {
    const name = `client-${number}`;
    const found = await runTraced(name, 'client', number);
    const reached = endedBefore() !== undefined;
    if (reached) expect(found).toMatchObject({ code: 128 + 9, cold: 0 });
    else expectAnswers(found, name);
    return reached;
  });
});

test('a client whose patience ends as its session begins starts no other session, which would read the same stream', async () => {
  const found = await runTraced('late', 'late');
  expect(linesOf('report')).toEqual(['traces', 'late']);
  expectAnswers(found, 'late');
  // The client had already given up listening when it looked a last time and saw that the session has begun.
  expect(found).toMatchObject({ code: 1, cold: 0, told: 1 });
  await expectRest();
});

/** A session that holds its repository's lock. Its client reads from `fifo`, and holds the other end itself. So it goes on without a writer. */
const hold = async () => {
  const before = host.told.length;
  rmSync(file('fifo'), { force: true });
  execFileSync('mkfifo', ['-m', '666', file('fifo')]);
  const client = startClient(folder, { ...ACCOUNT, by: ['/bin/sh', '-c', '"$@" <>"$0"; exit $?', file('fifo')] });
  running.push(client);
  writeFileSync(file('fifo'), requests(open(repository(), { exclusive: true })));
  await until('the lock to be held', () => locks().includes('lock.exclusive'));
  return until('the session to be told of', () => host.told[before]);
};

// The tracer sets registers, and knows only those of this machine.
if (process.arch === 'x64') {
  test('a session that does not notice the signal to end, since it is about to wait, is told again and gives its lock back', async () => {
    const session = await hold();
    await trace('told', session.process.pid);
    await until('the session to stand before its call', () => linesOf('report').includes('waits'));
    process.kill(session.client.pid, 'SIGTERM');
    await expectRest();
  });
}

test('a session that ends by itself gives its lock back, whenever it is told to end meanwhile', async () => {
  await walk('closing', async (number) => {
    const before = host.told.length;
    const client = startClient(folder, ACCOUNT);
    running.push(client);
    const borg = await converse(client);
    expect(await borg.call(...open(repository(), { exclusive: true }))).not.toContain('exception');
    expect(locks()).toContain('lock.exclusive');
    const told = await until('the session to be told of', () => host.told[before]);
    const tracer = await trace('closing', told.process.pid, number);
    await borg.end();
    tracer.kill('SIGKILL');
    return endedBefore() !== undefined;
  });
});

const CROWD = ALL ? 500 : 16;
const AT_ONCE = 8;
/** Clients that come at the same instant. */
const ORPHANS = 40;

/** A client that only wants to be greeted. */
const greet = async (folderOf: string, options = {}) => {
  const client = startClient(folderOf, { ...ACCOUNT, ...options });
  running.push(client);
  const { code, out, error } = await heard(client, requests());
  return { code, answers: out.split('server_version').length - 1, error };
};

test('all of a crowd are served while the host is killed again and again', async () => {
  let [over, kills] = [false, 0];
  const killing = (async () => {
    for (; !over; kills += 1) {
      const { pid } = await host.current();
      const before = host.told.length;
      await until('clients to come to this host', () => over || host.told.length > before + 2);
      process.kill(pid, 'SIGKILL');
      await until('this host to be gone', async () => over || (await host.current()).pid !== pid);
    }
  })();
  const found: Awaited<ReturnType<typeof greet>>[] = [];
  const one = async (): Promise<void> => {
    while (found.length < CROWD || kills < 2) found.push(await greet(folder, { cold: cold() }));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  over = true;
  await killing;
  // Only a client whose host has died does not hear how its session has ended.
  expect(found.filter(({ code, answers }) => answers !== 1 || (code !== 0 && code !== 1))).toEqual([]);
  await expectRest();
  console.log(`${found.length} clients, ${kills} kills`);
});

test('if the daemon dies, the clients of its host are served or start cold, none waits, and the host ends after its last session', async () => {
  const own = await prepareHost({ account: 'orphan', uid: 30_601 });
  try {
    const orphaned = await startHost(own);
    running.push(orphaned.child);
    const clients = Array.from({ length: ORPHANS }, () => greet(own, { account: 'orphan', uid: 30_601 }));
    const some = randomInt(1, ORPHANS / 2);
    await until('sessions to begin', () => orphaned.of('began').length >= some);
    // As the kernel does when the daemon is killed: it neither says anything nor listens any more.
    orphaned.child.stdin.destroy();
    orphaned.child.stdout.destroy();
    const found = await Promise.all(clients);
    for (const { code, answers, error } of found)
      expect([
        [0, 1, ''],
        [3, 0, `${COLD}\n`],
      ]).toContainEqual([code, answers, error]);
    expect(found.map(({ code }) => code)).toContain(0);
    if (orphaned.child.exitCode === null) await once(orphaned.child, 'exit');
    expect([orphaned.child.exitCode, orphaned.said()]).toEqual([0, '']);
  } finally {
    removeHost(own);
  }
});

test('a client stays with its session if the host dies while the session is still root’s, when the client may not signal it', async () => {
  const ACCOUNT_OF_THIS = { account: 'stays', uid: 30_602 };
  const slow = `    open(os.environ['HOME'] + '/still-root', 'w').close()\n    __import__('time').sleep(3)\n`;
  const drop = '    drop_privileges(person.uid';
  const own = await prepareHost({ ...ACCOUNT_OF_THIS, changes: [['launcher/hosted.py', drop, `${slow}${drop}`]] });
  try {
    const started = await startHost(own);
    running.push(started.child);
    const client = startClient(own, ACCOUNT_OF_THIS);
    running.push(client);
    const still = join(own, `repos/${ACCOUNT_OF_THIS.account}/still-root`);
    await until('the session to be about to give root up', () => existsSync(still));
    const session = Number(started.of('began')[0]?.pid);
    started.child.kill('SIGKILL');
    await until('the session to have given root up', () =>
      listProcesses().some(({ pid, uid }) => pid === session && uid === ACCOUNT_OF_THIS.uid),
    );
    expect(client.exitCode).toBeNull();
    const { code, out } = await heard(client, requests());
    expect([code, out.split('server_version').length - 1]).toEqual([1, 1]);
  } finally {
    removeHost(own);
  }
});

test('after all this a host serves as at the beginning', async () => {
  expectAnswers(await run('last'), 'last');
  await expectRest();
});
