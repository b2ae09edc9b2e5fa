import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { launcherBelow } from '../../src/borg/launcher.ts';
import { isAlive, listProcesses, readWords } from '../../src/sessions/processes.ts';
import { readChildren, readStatFields } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import {
  type ClientOptions,
  COLD,
  heard,
  PGID,
  prepareHost,
  type RealHost,
  ROLES,
  removeHost,
  startClient,
  startHost,
} from './hosted-session.ts';
import { converse, launch } from './launched-session.ts';
import type { Change } from './launcher-without.ts';

// The session host as it is shipped, with the installed borg and real processes of accounts below it.

let folder = '';
let running: { kill: (signal?: NodeJS.Signals) => unknown }[] = [];

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  running = [];
  removeHost(folder);
});

/** Seconds. On a busy machine ten may pass before the host, a session or a client comes to its turn. */
const LONG = 3600;
const PATIENT: Change[] = [
  ['launcher/host.py', '\nPATIENCE = 10\n', `\nPATIENCE = ${LONG}\n`],
  ['launcher/host.py', '\nASKED = 60\n', `\nASKED = ${LONG}\n`],
  ['launcher/hosted.py', '\nPATIENCE = 120\n', `\nPATIENCE = ${LONG}\n`],
];
const HASTY_HOST: Change = ['launcher/host.py', '\nPATIENCE = 10\n', '\nPATIENCE = 1\n'];

const host = async (options: Parameters<typeof prepareHost>[0] = {}): Promise<RealHost> => {
  folder = await prepareHost({ changes: PATIENT, ...options });
  const started = await startHost(folder);
  running.push(started.child);
  return started;
};

const client = (options: ClientOptions = {}): ChildProcessWithoutNullStreams => {
  const started = startClient(folder, { patience: LONG, ...options });
  running.push(started);
  return started;
};

/** Runs a client to its end without any input. */
const run = (options: ClientOptions = {}) => heard(client(options));

const BY_HAND = `import os, socket, sys
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); door.connect(sys.argv[1])
print('here', flush=True); sys.stdin.readline()
socket.send_fds(door, [sys.argv[2].encode() + bytes(2) + b'borg serve'], [0, 1, 2])
print(door.recv(32).decode(), flush=True); sys.stdin.readline()
print(door.recv(32).decode() or 'closed', flush=True); sys.stdin.readline()`;

/** A client that has connected and waits. Each call lets it do one step, and returns the host's answer. */
const byHand = async (options: ClientOptions = {}): Promise<() => Promise<string>> => {
  const { account = 'web01', uid = 30_101, role = 'repo', groups = [ROLES.repo, uid] } = options;
  const login = `setpriv --reuid ${uid} --regid ${groups[0]} --groups ${groups.join()} /bin/sh -c "$0"; exit $?`;
  const words = `"$PYTHON" -c "$SCRIPT" ${folder}/sessions/${role}/door ${account}; exit $?`;
  const process_ = spawn('/bin/sh', ['-c', login, words], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', PYTHON: findBorg().python, SCRIPT: BY_HAND },
  });
  running.push(process_);
  const next = async () => String((await once(process_.stdout, 'data'))[0]).trim();
  expect(await next()).toBe('here');
  return async () => {
    const answer = next();
    process_.stdin.write('go on\n');
    return answer;
  };
};

const session = async (options: ClientOptions = {}) => {
  const process_ = client(options);
  return converse(process_);
};

const pidOf = (line: { readonly [field: string]: unknown } | undefined, field = 'pid'): number => Number(line?.[field]);
const nameOf = (line: { readonly [field: string]: unknown } | undefined, name = '') => ({
  pid: pidOf(line, name === '' ? 'pid' : name),
  start: pidOf(line, name === '' ? 'start' : `${name}Start`),
});
const connectionOf = (line: { readonly [field: string]: unknown } | undefined): string =>
  [line?.connection].flat().join(' ');
const digest = (account: string): string => createHash('sha256').update(account).digest('hex');
/** CPU time that a process has used, in clock ticks. */
const ticksOf = (pid: number | undefined): number => {
  const fields = readStatFields(pid ?? 0);
  return Number(fields[11]) + Number(fields[12]);
};
/** The hosted sessions of this test. */
const sessionsHere = (): number[] =>
  listProcesses().flatMap(({ pid }) => {
    const words = readWords(pid);
    return words.includes('--hosted') && words.some((each) => each.startsWith(folder)) ? [pid] : [];
  });
const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'utf8');

describe('a client', () => {
  test('is served by a process that runs as its account alone and has given up every right', async () => {
    const started = await host();
    const borg = await session();
    const [began] = started.of('began');
    const pid = pidOf(began);
    const status = statusOf(pid);
    expect(began).toMatchObject({ uid: 30_101 });
    expect(/^Uid:\s+(.*)/m.exec(status)?.[1]).toBe('30101\t30101\t30101\t30101');
    expect(/^Gid:\s+(.*)/m.exec(status)?.[1]).toBe('30101\t30101\t30101\t30101');
    // It lacks the group of its role: with this group a process could get to the host.
    expect(/^Groups:\s+(.*)/m.exec(status)?.[1]?.trim()).toBe('30101');
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^Threads:\s+1$/m);
    // libffi keeps a file of its own open in some releases, which no session may close (host.py, own_descriptors).
    const open = readdirSync(`/proc/${pid}/fd`).filter(
      (number) => !readlinkSync(`/proc/${pid}/fd/${number}`).includes('/libffi.so'),
    );
    expect(open.sort()).toEqual(['0', '1', '2']);
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
    expect(limits).toMatch(/^Max processes +0 +0/m);
    expect(limits).toMatch(/^Max open files +256 +256/m);
    // It may have this much when its index grows, and never more, whatever it does.
    expect(limits).toMatch(/^Max data size +268435456 +\d+ /m);
    expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()).toBe('300');
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, 6)).toEqual([
      ...['borg-serve', '--hosted', '--session', '192.0.2.1 1024 192.0.2.2 22', '--account', 'web01'],
    ]);
    expect(await borg.end()).toBe(0);
    await until('the end of the session to be told', () => started.of('ended').length === 1);
    expect(started.of('ended')[0]).toMatchObject({ pid, code: 0, signal: null });
    expect(Number(started.of('ended')[0]?.cpu)).toBeGreaterThan(0);
    expect(Number(started.of('ended')[0]?.memory)).toBeGreaterThan(1_000_000);
  });

  test('gets its own repository and no other, with the quota of its account', async () => {
    await host();
    const borg = await session();
    expect(await borg.call(...open(`${folder}/repos/web02`, { create: true }))).toContain('PathNotAllowed');
    await borg.end();
    const own = await session();
    expect(await own.call(...open(`${folder}/repos/web01`, { create: true }))).not.toContain('exception');
    await own.end();
    expect(readFileSync(`${folder}/repos/web01/config`, 'utf8')).toMatch(/storage_quota = 20000000/);
  });

  test('that asks for a version, or for anything else, is answered as without the host', async () => {
    await host();
    const version = await run({ command: '/usr/bin/borg14 --version' });
    expect(version).toEqual({ code: 0, out: expect.stringMatching(/^borg \d/), error: '' });
    const other = await run({ command: 'ls /' });
    expect(other.code).toBe(1);
    expect(other.error).toContain(`borg init -e repokey-blake2 ssh://web01@backup.example.org${folder}/repos/web01`);
    expect((await run({ command: 'borg2 serve --rest' })).error).toContain('borg 2 can copy');
  });

  test.each([
    { more: [], command: 'borg serve' },
    { more: [], command: 'borg serve --umask=077 --info' },
    { more: [], command: 'borg serve --critical --debug' },
    { more: ['--append-only', '--storage-quota', '1G'], command: 'borg serve --debug' },
    { more: ['--show-rc'], command: 'borg serve --info' },
    { more: ['--debug', '--lock-wait', '5'], command: 'borg serve' },
    { more: ['--debug-topic', 'cache', '--info'], command: 'borg serve --error' },
  ])('is told as much as without the host: serve $more, asked for by $command', async ({ more, command }) => {
    const started = await host({ more });
    const told = async (process_: ChildProcessWithoutNullStreams) => {
      const borg = await converse(process_);
      const answer = await borg.call(...open(`${folder}/repos/none`));
      const code = await borg.end();
      return { code, refused: answer.includes('PathNotAllowed'), said: borg.said().replaceAll(/"time": [\d.]+/g, '') };
    };
    const [repos, repository] = [join(folder, 'repos'), join(folder, 'repos/web01')];
    const cold = launch({ launcher: launcherBelow(folder), repos, repository, account: 'web01', more, command });
    running.push(cold);
    const expected = await told(cold);
    expect(expected.code).toBe(0);
    expect(await told(client({ command }))).toEqual(expected);
    await until('the host to tell of its session', () => started.of('ended').length === 1);
    expect(started.said()).toBe('');
    if (command.endsWith('--debug')) expect(expected.said).toContain('Initialized logging system');
    if (more.includes('--show-rc')) expect(expected.said).toContain('terminating with success status');
  });

  test('is refused beyond the sessions of its account; sessions of other accounts do not count', async () => {
    const started = await host({ sessions: 2 });
    const [first, second] = [await session(), await session()];
    const third = await run();
    expect(third).toMatchObject({ code: 1, error: expect.stringContaining('has 2 sessions on this server already') });
    const other = await session({ account: 'web02', uid: 30_102 });
    expect(await first.end()).toBe(0);
    await until('the end of one', () => started.of('ended').length === 2);
    expect(await (await session()).end()).toBe(0);
    for (const each of [second, other]) await each.end();
  });

  test('counts before its client has said that it waits, also where several accounts have one user id', async () => {
    const started = await host({ sessions: 1 });
    const admin = { uid: 1000, role: 'admin', groups: [PGID, ROLES.admin] };
    const waits = await byHand({ ...admin, account: 'boss' });
    expect(await waits()).toMatch(/^session /);
    expect(await run({ ...admin, account: 'boss' })).toMatchObject({
      code: 1,
      error: expect.stringContaining('has 1 sessions on this server already'),
    });
    const other = await session({ ...admin, account: 'chief' });
    expect(await other.end()).toBe(0);
    expect(isAlive(nameOf(started.of('began')[0]))).toBe(true);
  });

  test('starts cold if it has no account, or asks for an account or a role that is not its own', async () => {
    await host();
    const refused: ClientOptions[] = [
      { account: 'web02' },
      { account: 'nobody' },
      { account: '' },
      { account: 'boss' },
      // Only its own line is read: otherwise one could ask whose line comes next.
      { account: 'web01:x:30101' },
      { uid: 30_102 },
      { role: 'admin', groups: [ROLES.repo, 30_101] },
      { account: 'web01', role: 'admin', groups: [PGID, ROLES.admin] },
      { account: 'boss', uid: 1000, role: 'repo', groups: [PGID, ROLES.admin] },
    ];
    for (const each of refused) expect(await run(each)).toMatchObject({ code: 3, error: `${COLD}\n` });
    expect(await run({ account: 'boss', uid: 1000, role: 'admin', groups: [PGID, ROLES.admin] })).toMatchObject({
      code: 0,
      out: expect.stringContaining('Got connection close'),
    });
  });

  test('takes its session with it when it is ended, and the session gives its lock back', async () => {
    const started = await host();
    const borg = await session();
    await borg.call(...open(`${folder}/repos/web01`, { create: true }));
    await borg.call(...open(`${folder}/repos/web01`, { exclusive: true }));
    expect(readdirSync(`${folder}/repos/web01`)).toContain('lock.exclusive');
    process.kill(nameOf(started.of('began')[0], 'client').pid, 'SIGTERM');
    await until('the session to end', () => started.of('ended').length === 1);
    expect(readdirSync(`${folder}/repos/web01`)).not.toContain('lock.exclusive');
  });
});

/**
 * A host that expects to see the session of a client that was turned away after 20 seconds, if there is one. Three sessions have to fit in, on a
 * busy machine, too: its look does not see the session below, whose parent is in no process of that PID namespace.
 */
const HASTY = `
import os, runpy, sys
del sys.argv[0]
sys.path.append(os.path.dirname(sys.argv[0]))
import launcher.others
launcher.others.ON_ITS_WAY = 20
runpy.run_path(sys.argv[0], run_name='__main__')
`;

test('sessions that are not the host’s are counted, and looked for only as long as there may be some', async () => {
  folder = await prepareHost({ sessions: 1 });
  writeFileSync(`${folder}/hasty.py`, HASTY);
  // The host has PIDs of its own, so that it does not see the sessions of other tests.
  const alone = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const started = await startHost(folder, { by: alone, program: [`${folder}/hasty.py`] });
  running.push(started.child);
  const [inside] = readChildren(started.child.pid ?? 0);
  const there = ['nsenter', '-t', String(inside), '-p', '-m', '--'];
  /** What can be seen of a session that has loaded borg itself. */
  const cold = async () => {
    const words = ['setpriv', '--reuid', '30101', '--regid', '30101', '--clear-groups', 'sh', '-c'];
    const process_ = spawn('nsenter', [
      ...there.slice(1),
      ...words,
      'echo here; read x',
      '--account',
      'web01',
      '--box',
      'auto',
      '--',
    ]);
    running.push(process_);
    await once(process_.stdout, 'data');
    return async (): Promise<void> => {
      process_.stdin.end('\n');
      await once(process_, 'exit');
    };
  };
  const REFUSED = { code: 1, error: expect.stringContaining('has 1 sessions') };
  const served = (): Promise<boolean> =>
    until('a session to be looked for no longer', async () => {
      const end = await cold();
      const { code } = await run({ there });
      await end();
      return code === 0;
    });
  await served();
  // A client is turned away. The other session was started before that: on a busy machine its start alone may take a second.
  const end = await cold();
  expect(await run({ there, account: 'web02' })).toMatchObject({ code: 3 });
  for (let times = 0; times < 3; times += 1) expect(await run({ there })).toMatchObject(REFUSED);
  await end();
  await served();
});

test('a session has neither other accounts’ names nor words of other processes in its memory', async () => {
  // Like the words of another session that a host sees when it begins.
  for (let each = 0; each < 24; each += 1) {
    running.push(spawn('sleep', ['600'], { argv0: 'backup-of-somebody'.padEnd(18 + each * 16, '-') }));
  }
  const started = await host();
  const borg = await session({ account: 'web02', uid: 30_102 });
  const pid = pidOf(started.of('began')[0]);
  const count = (name: string) => spawnSync(findBorg().python, ['-c', COUNT_IN_MEMORY, String(pid), name]).stdout;
  expect(Number(count('web02'))).toBeGreaterThan(0);
  // The first line of the account database.
  expect(String(count('web01:')).trim()).toBe('0');
  expect(String(count('backup-of-somebody')).trim()).toBe('0');
  await borg.end();
});

/** How often a word stands in the memory of a process. */
const COUNT_IN_MEMORY = `
import sys
pid, word, found = sys.argv[1], sys.argv[2].encode(), 0
with open('/proc/%s/maps' % pid) as maps, open('/proc/%s/mem' % pid, 'rb', 0) as memory:
    for line in maps:
        reach, mode, *_ = line.split()
        start, end = (int(each, 16) for each in reach.split('-'))
        if mode.startswith('rw') and start < 1 << 47:
            memory.seek(start)
            found += memory.read(end - start).count(word)
print(found)`;

test('a session that was taken over cannot open a door', async () => {
  await host();
  const connect = `import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(${JSON.stringify(`${folder}/sessions/repo/door`)})`;
  const as = (groups: string) =>
    spawnSync(
      'setpriv',
      ['--reuid', '30101', '--regid', '30101', ...groups.split(' '), findBorg().python, '-c', connect],
      {
        encoding: 'utf8',
      },
    );
  expect(as('--clear-groups').stderr).toContain('PermissionError');
  expect(as(`--groups ${ROLES.repo},30101`)).toMatchObject({ status: 0 });
});

/** Traces a process without stopping it (ptrace(2), PTRACE_SEIZE), and takes no notice of its end. */
const TRACE = `
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
os.write(1, b'traced' if libc.ptrace(0x4206, int(sys.argv[1]), None, None) == 0 else b'%d' % ctypes.get_errno())
time.sleep(600)`;

describe('the host', () => {
  test('may die: sessions go on, new clients start cold, and the next host takes its place', async () => {
    const first = await host();
    const borg = await session();
    await borg.call(...open(`${folder}/repos/web01`, { create: true }));
    const [began] = first.of('began');
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    expect(isAlive(nameOf(began))).toBe(true);
    expect(await run()).toMatchObject({ code: 3, error: `${COLD}\n` });
    const next = await startHost(folder);
    running.push(next.child);
    // The session goes on writing, and its client waits for its end.
    expect(await borg.call('__len__')).not.toContain('exception');
    expect(isAlive(nameOf(began, 'client'))).toBe(true);
    await borg.end();
    expect(isAlive(nameOf(began))).toBe(false);
    expect(await run()).toMatchObject({ code: 0 });
  });

  test('counts sessions that began before it', async () => {
    const first = await host({ sessions: 1 });
    const borg = await session();
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    running.push((await startHost(folder)).child);
    expect(await run()).toMatchObject({ code: 1, error: expect.stringContaining('has 1 sessions') });
    await borg.end();
    expect(await run()).toMatchObject({ code: 0 });
  });

  test('that stands still costs a client its patience, and then nobody reads its streams twice', async () => {
    const started = await host();
    started.child.kill('SIGSTOP');
    // This one waits for a second only.
    const late = client({ patience: 1 });
    const said = once(late.stderr, 'data');
    // The client's streams are not closed while the host has them.
    expect(await once(late, 'exit')).toEqual([3, null]);
    expect(String(await said)).toBe(`${COLD}\n`);
    started.child.kill('SIGCONT');
    await until(
      'the host to find that the client has gone',
      () => started.of('ended').length === started.of('began').length,
    );
    expect(await run()).toMatchObject({ code: 0 });
  });

  test('that is busy for longer than a client takes to load borg keeps its clients', async () => {
    const started = await host();
    started.child.kill('SIGSTOP');
    const waits = startClient(folder);
    running.push(waits);
    const since = performance.now();
    await until('eleven seconds to pass', () => performance.now() - since > 11_000);
    started.child.kill('SIGCONT');
    expect(await heard(waits)).toMatchObject({ code: 0, error: '' });
  });

  test('ends when the daemon has gone, after its last session, and lets nobody else in meanwhile', async () => {
    const started = await host();
    const borg = await session();
    started.child.stdin.end();
    await until('the doors of the host to be closed', async () => (await run()).error === `${COLD}\n`);
    expect(await borg.call('get_free_nonce')).toContain('exception');
    expect(started.child.exitCode).toBeNull();
    await borg.end();
    if (started.child.exitCode === null) await once(started.child, 'exit');
    expect(started.child.exitCode).toBe(0);
  });

  test('answers the daemon', async () => {
    const started = await host();
    started.child.stdin.write('ping\nwhat\nping\n');
    await until('two answers of the host', () => started.of('pong').length === 2);
  });

  /** Makes the daemon read nothing until the host cannot write to it any more. */
  const stopReading = async ({ child }: RealHost): Promise<void> => {
    child.stdout.pause();
    const before = ticksOf(child.pid);
    child.stdin.write('ping\n'.repeat(20_000));
    await until('the host to have heard it all', () => child.stdin.writableLength === 0 && ticksOf(child.pid) > before);
  };

  test('begins a session only if the daemon will hear of it, even if the host dies at once: the client is served, or starts cold', async () => {
    const started = await host();
    const first = await session();
    await stopReading(started);
    const waits = client();
    const served = converse(waits);
    await until('the session of the client to wait', () => readChildren(started.child.pid ?? 0).length === 2);
    started.child.stdout.resume();
    const second = await served;
    await until('all answers of the host', () => started.of('pong').length === 20_000);

    await stopReading(started);
    expect(await run({ patience: 1 })).toMatchObject({ code: 3, error: `${COLD}\n` });
    const last = run({ account: 'web02', uid: 30_102 });
    await until('the session of the client to wait', () =>
      readChildren(started.child.pid ?? 0).some((pid) => readWords(pid).includes('web02')),
    );
    started.child.kill('SIGKILL');
    expect(await last).toMatchObject({ code: 3, error: `${COLD}\n` });
    started.child.stdout.resume();
    if (!started.child.stdout.readableEnded) await once(started.child.stdout, 'end');
    const told = started.of('began').filter((each) => isAlive(nameOf(each)));
    expect(told.map((each) => pidOf(each)).sort()).toEqual(sessionsHere().sort());
    expect(told).toHaveLength(2);
    for (const each of [first, second]) expect(await each.call('get_free_nonce')).toContain('exception');
    for (const each of [first, second]) await each.end();
  });

  test('serves others while a process keeps back the end of a session, and tells that end later', async () => {
    const started = await host();
    const borg = await session();
    const { pid } = nameOf(started.of('began')[0]);
    const tracer = spawn(findBorg().python, ['-c', TRACE, String(pid)]);
    running.push(tracer);
    expect(String((await once(tracer.stdout, 'data'))[0])).toBe('traced');
    process.kill(pid, 'SIGKILL');
    expect(await run({ account: 'web02', uid: 30_102 })).toMatchObject({ code: 0 });
    expect(started.of('ended').map((each) => each.pid)).not.toContain(pid);
    tracer.kill('SIGKILL');
    await until('the end of the session to be told', () => started.of('ended').some((each) => each.pid === pid));
    expect(started.of('ended').find((each) => each.pid === pid)).toMatchObject({ signal: 9 });
    await borg.end();
  });

  /** Runs this in Python as the account, with the door as its argument. */
  const atTheDoor = (script: string) => {
    const args = ['--reuid', '30101', '--regid', '770', '--clear-groups', findBorg().python, '-c', script];
    const process_ = spawn('setpriv', [...args, `${folder}/sessions/repo/door`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(process_);
    let said = '';
    process_.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    return { process: process_, said: () => said };
  };

  test('lets in only a few silent connections of one account, and one for each process', async () => {
    const started = await host();
    // Each process prints how its first connection and a second one end: at once, or not.
    const { process: all, said } = atTheDoor(`import os, select, socket, sys, time
def connect():
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); door.connect(sys.argv[1]); return door
def closed(door): return bool(select.select([door], [], [], 0)[0])
def wait_for(name):
    os.write(1, b'.')
    while not os.path.exists(sys.argv[1] + name) and os.getppid() == parent: time.sleep(0.02)
parent = os.getpid()
for _ in range(80):
    if os.fork() == 0:
        first = connect()
        wait_for('1')
        early = closed(first)
        second = first if early else connect()
        wait_for('2')
        os.write(1, b'%d%d\\n' % (early, not early and closed(second)))
        os._exit(0)
for _ in range(80): os.wait()`);
    for (const times of [1, 2]) {
      await until('all to have connected', (saw) => saw(said()).length === 80 * times);
      // The host takes one client after the other. When it has served this one, it has dealt with all that came before.
      expect(await run({ account: 'web02', uid: 30_102 })).toMatchObject({ code: 0 });
      writeFileSync(`${folder}/sessions/repo/door${times}`, '');
    }
    await once(all, 'exit');
    const told = said().replaceAll('.', '').trim().split('\n');
    expect(told).toHaveLength(80);
    expect(new Set(told)).toEqual(new Set(['10', '01']));
    expect(told.filter((each) => each === '10').length).toBeGreaterThanOrEqual(16);
    expect(await run()).toMatchObject({ code: 0 });
    await until(
      'the host to close what is left',
      (saw) => saw(readdirSync(`/proc/${started.child.pid}/fd`)).length < 20,
    );
  });

  test('lets in a second connection of no process', async () => {
    await host();
    const { said } = atTheDoor(`import socket, sys
doors = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
for each in doors: each.connect(sys.argv[1])
print('closed' if doors[1].recv(1) == b'' else 'told', flush=True)
doors[0].recv(1)`);
    await until('the second connection to be closed', (saw) => saw(said()) === 'closed\n');
  });

  test('lets a client that says nothing go after a while', async () => {
    await host({ changes: [HASTY_HOST] });
    const { said } = atTheDoor(`import socket, sys
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); door.connect(sys.argv[1])
print('closed' if door.recv(1) == b'' else 'told', flush=True)`);
    await until('the client to be let go', (saw) => saw(said()) === 'closed\n');
    await until('another client to be served', async (saw) => saw(await run()).code === 0);
  });

  test('refuses a flood of one account at once, and starts nothing for it', async () => {
    const started = await host({ sessions: 1 });
    const borg = await session();
    const flood = await Promise.all(Array.from({ length: 40 }, () => run()));
    for (const { code, error } of flood) {
      expect(code).toBe(1);
      expect(error).toContain('SESSIONS_PER_ACCOUNT');
    }
    expect(await borg.end()).toBe(0);
    await until('all sessions to have ended', () => started.of('ended').length === started.of('began').length);
    expect(await run()).toMatchObject({ code: 0 });
  });

  test('closes a connection for good, even if another client has begun meanwhile and says nothing more', async () => {
    const started = await host();
    const refused = await byHand({ uid: 30_102 });
    // This client's session waits until the client goes on, which never happens.
    const slow = await byHand();
    expect(await slow()).toMatch(/^session /);
    const [waits] = started.of('began');
    expect(await refused()).toMatch(/^session /);
    expect(await refused()).toBe('closed');
    // If this session had a copy of the other client's connection, that connection would stay open until this session ends.
    expect(isAlive(nameOf(waits))).toBe(true);
  });

  test('asks the daemon whose connection it is where accounts share a user id', async () => {
    const started = await host({ shared: true });
    const waiting = client({ groups: [ROLES.repo, PGID] });
    const borg = converse(waiting);
    await until('the host to ask', () => started.of('asks').length === 1);
    const [asked] = started.of('asks');
    expect(started.of('began')).toEqual([]);
    started.child.stdin.write(`account ${connectionOf(asked)} ${digest('web01')}\n`);
    expect(await (await borg).end()).toBe(0);
    const other = run({ account: 'web02', groups: [ROLES.repo, PGID] });
    await until('the host to ask again', () => started.of('asks').length === 2);
    started.child.stdin.write(`account ${connectionOf(started.of('asks')[1])} ${digest('web01')}\n`);
    expect(await other).toMatchObject({ code: 3, error: `${COLD}\n` });
  });

  test('that lets nobody in any more refuses at once a client about whom it has asked the daemon', async () => {
    const started = await host({ shared: true });
    const groups = [ROLES.repo, PGID];
    const first = session({ groups });
    await until('the host to ask', () => started.of('asks').length === 1);
    started.child.stdin.write(`account ${connectionOf(started.of('asks')[0])} ${digest('web01')}\n`);
    const borg = await first;
    let end: Awaited<ReturnType<typeof run>> | undefined;
    void run({ groups }).then((how) => {
      end = how;
    });
    await until('the host to ask', () => started.of('asks').length === 2);
    started.child.stdin.end();
    expect(await until('the client to be refused', () => end)).toMatchObject({ code: 3, error: `${COLD}\n` });
    await borg.end();
  });

  test('needs less than 40 MB', async () => {
    const started = await host();
    const status = statusOf(started.child.pid ?? 0);
    expect(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024).toBeLessThan(40_000_000);
  });
});
