import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createHosted, type Hosted } from '../../src/sessions/hosted.ts';
import type { ProcessId } from '../../src/sessions/process.ts';
import { isAlive, readProcess } from '../../src/sessions/processes.ts';
import { type SessionHost, type SessionHostOptions, startSessionHost } from '../../src/sessions/session-host.ts';
import { until } from '../e2e/harness/machine.ts';
import { PATIENT } from '../image/looked-after-host.ts';

// A small program takes the place of the host. These tests try how the server looks after it.

/** The program writes down that it was started and what it hears, and does what the file "does" says. */
const HOST = `
import json, os, sys, time
folder = sys.argv[1]
def tell(**facts):
    print(json.dumps(facts), flush=True)
def does(word):
    return word in open(folder + '/does').read().split()
with open(folder + '/started', 'a') as file:
    print(os.getpid(), file=file)
if does('fail'): sys.exit(3)
while does('hang'): time.sleep(0.02)
with open(folder + '/environment', 'w') as file:
    json.dump(dict(os.environ), file)
print(open(folder + '/says').read(), end='', flush=True)
tell(event='ready', pid=os.getpid())
if does('die'): sys.exit(4)
more = None
for line in sys.stdin:
    is_deaf = does('deaf')
    with open(folder + ('/ignored' if is_deaf else '/heard'), 'a') as file:
        file.write(line)
    if is_deaf: continue
    if does('grow'): more = b'x' * 80_000_000
    if line == 'ping\\n': tell(event='pong')
while does('stay'): time.sleep(0.02)
with open(folder + '/retired', 'a') as file:
    print(os.getpid(), file=file)
`;

let folder: string;
let lines: Readonly<Record<string, unknown>>[];
let hosted: Hosted;
let accounts: Map<number, string>;
let host: SessionHost | null;

const file = (name: string): string => join(folder, name);
const words = (name: string): readonly string[] =>
  readdirSync(folder).includes(name) ? readFileSync(file(name), 'utf8').split('\n').slice(0, -1) : [];
/** In one step: a host that reads it meanwhile would find it empty. */
const does = (...what: readonly string[]): void => {
  writeFileSync(file('does.new'), what.join(' '));
  renameSync(file('does.new'), file('does'));
};
const said = (message: RegExp) => lines.filter(({ msg }) => message.test(String(msg)));
/** Resolves with the host that was started last, once `count` hosts were started. */
const started = (count: number): Promise<ProcessId> =>
  until(`${count} to be started`, () => {
    const pids = words('started');
    return pids.length >= count && (readProcess(Number(pids.at(-1))) ?? false);
  });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-host-'));
  for (const name of ['does', 'says', 'borg']) writeFileSync(file(name), '');
  writeFileSync(file('host.py'), HOST);
  [lines, accounts, hosted, host] = [[], new Map(), createHosted(() => true), null];
});
afterEach(async () => {
  does();
  host?.close();
  for (const pid of words('started')) if (readProcess(Number(pid))) process.kill(Number(pid), 'SIGKILL');
  rmSync(folder, { recursive: true });
});

const start = async (times: SessionHostOptions['times'] = {}): Promise<SessionHost> => {
  const write = (facts: object, msg: string): void => void lines.push({ ...facts, msg });
  host = await startSessionHost({
    ...{ python: 'python3', program: [file('host.py'), folder], environment: { ONLY: 'this' } },
    ...{
      files: [file('borg'), file('gone')],
      hosted,
      onBegan: ({ process }) => lines.push({ msg: `began ${process.pid}` }),
    },
    accountOf: ({ pid }) => accounts.get(pid),
    log: { info: write, warn: write, error: write },
    times: { ...PATIENT, again: 20, longestAgain: 100, ...times },
  });
  return host;
};
const QUICK = { look: 50 };

test('the host serves when it is ready, in an environment of its own, and the log says nothing', async () => {
  const { state } = await start();
  expect(state()).toEqual({ running: true, coldSince: null, ends: 0 });
  expect(lines).toEqual([]);
  expect(JSON.parse(readFileSync(file('environment'), 'utf8'))).toMatchObject({ ONLY: 'this' });
  expect(readFileSync(file('environment'), 'utf8')).not.toContain('"HOME"');
});

test('the host’s lines tell of sessions; a line that cannot be read is left out, and told; so is the host’s trouble, without control characters', async () => {
  const began = {
    ...{ event: 'began', pid: 500, start: 8, client: 62, clientStart: 7, connection: [60, 6] },
    uid: 10_001,
  };
  const ended = { event: 'ended', pid: 500, start: 8, code: 0, signal: null, cpu: 0.5, memory: 9 };
  const says = [began, { ...began, pid: -1 }, { event: 'trouble', what: 'no\u001bmemory' }, ended];
  writeFileSync(file('says'), `${says.map((each) => JSON.stringify(each)).join('\n')}\n`);
  await start();
  expect(hosted.usageOf({ pid: 60, start: 6 })).toEqual({ cpuSeconds: 0.5, peakMemory: 9 });
  expect(said(/^began/)).toEqual([{ msg: 'began 500' }]);
  expect(said(/cannot be read/)).toHaveLength(1);
  expect(said(/has trouble/)).toEqual([expect.objectContaining({ trouble: 'no\\u{1b}memory' })]);
});

test('a host that ends is started again at once, and the log says why it ended, since when it did not run, and that it runs again', async () => {
  const { state } = await start();
  const first = await started(1);
  process.kill(first.pid, 'SIGKILL');
  await until('another host to serve', () => said(/runs again/).length === 1);
  expect(said(/does not run/)).toEqual([
    expect.objectContaining({ error: 'it ended with SIGKILL', since: expect.stringMatching(/^\d{4}-.*Z$/) }),
  ]);
  expect(state()).toEqual({ running: true, coldSince: null, ends: 1 });
  expect((await started(2)).pid).not.toBe(first.pid);
});

test('a host that ends again and again is started more and more seldom, and its ends are counted', async () => {
  does('die');
  const { state } = await start();
  await until('the host to have ended some times', () => state().ends > 5);
  expect(words('started').length).toBeGreaterThan(5);
  does();
  await until(
    'a host that stays',
    async () => state().running && isAlive(await started(1)) && words('heard').length === 0,
  );
});

test('if no host can be started, the server goes on without one, and tries again', async () => {
  does('fail');
  const { state } = await start();
  await until('the host to have failed', () => state().ends > 2);
  expect(state()).toMatchObject({ running: false, coldSince: expect.any(Number) });
  expect(said(/does not run/)).toEqual([expect.objectContaining({ error: 'it could not be started' })]);
  does();
  await until('the host to serve', () => state().running && state().coldSince === null);
});

test('if there is no such program, the server goes on without a host, too', async () => {
  const options = { python: '/nonexistent/python3', program: [], environment: {}, files: [], hosted };
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  host = await startSessionHost({ ...options, onBegan: () => {}, accountOf: () => undefined, log });
  expect(host.state()).toMatchObject({ running: false });
});

test('a host whose start takes too long is waited for no longer, and is ended', async () => {
  does('hang');
  // On a busy machine the first may be ended before it has written down that it has begun. Then the second does that.
  const { state } = await start({ start: 1500, laterStart: 20_000 });
  expect(state().running).toBe(false);
  const [pid] = await until('the host to have begun', () => words('started').length > 0 && words('started'));
  await until('the host to be gone', () => readProcess(Number(pid)) === null);
  does();
  await until('another host to serve', () => state().running);
});

test('a later start, for which nobody waits, may take longer', async () => {
  // However busy the machine is, the first start does not end in time.
  does('hang');
  await start({ start: 1 });
  does();
  await until('another host to serve', () => said(/runs again/).length === 1);
  expect(said(/does not run/)).toEqual([expect.objectContaining({ error: 'it could not be started' })]);
});

test('a host that does not answer is killed, and another is started', async () => {
  does('deaf');
  const { state } = await start({ look: 50, answer: 300 });
  const [pid] = words('started');
  await until('the host to be killed', () => state().ends > 0);
  does();
  await until('a host that answers', () => said(/runs again/).length > 0 && words('heard').includes('ping'));
  expect(said(/does not run/)[0]).toMatchObject({ error: 'it did not answer' });
  expect(readProcess(Number(pid))).toBeNull();
});

test('if borg has changed, another host is started first, and the old one stays as long as it has sessions', async () => {
  const { state } = await start(QUICK);
  const first = await started(1);
  does('stay');
  writeFileSync(file('borg'), 'a new version');
  await until('another host in its place', () => said(/was replaced/).length === 1);
  expect(said(/was replaced/)).toEqual([expect.objectContaining({ reason: 'borg or its interpreter has changed' })]);
  expect([isAlive(first), isAlive(await started(2))]).toEqual([true, true]);
  expect(state()).toEqual({ running: true, coldSince: null, ends: 0 });
  does();
  await until('the old one to end', () => !isAlive(first));
  expect(words('retired')).toEqual([String(first.pid)]);
  // This does not count as an end of the serving host, and the change counts only once.
  const heard = words('heard').length;
  await until('the host to have heard more', () => words('heard').length > heard + 3);
  expect([words('started').length, lines.length]).toEqual([2, 1]);
});

test('if the new host does not start, the old one goes on', async () => {
  const { state } = await start(QUICK);
  const first = await started(1);
  does('fail');
  writeFileSync(file('gone'), 'there now');
  await until('the failure to be told', () => said(/could not be replaced/).length > 0);
  expect([state().running, state().ends, isAlive(first)]).toEqual([true, 0, true]);
  does();
  await until('another host in its place', () => said(/was replaced/).length === 1 && !isAlive(first));
});

test('if its memory has grown, another host takes its place', async () => {
  does('grow');
  await start(QUICK);
  const first = await started(1);
  await until('the host to have heard a question', () => words('heard').length > 0);
  does();
  await until('another host in its place', () => said(/was replaced/).length > 0 && !isAlive(first));
  expect(said(/was replaced/)[0]).toMatchObject({ reason: 'its memory has grown' });
});

test('while another host loads, the old one is asked as before, and no third is started', async () => {
  await start(QUICK);
  const first = await started(1);
  does('hang');
  writeFileSync(file('borg'), 'a new version');
  await started(2);
  const heard = words('heard').length;
  await until('the old host to have heard more', () => words('heard').length > heard + 3);
  expect([words('started').length, isAlive(first), lines]).toEqual([2, true, []]);
  does();
  await until('another in its place', () => said(/was replaced/).length > 0 && !isAlive(first));
  expect([words('started').length, lines.length]).toEqual([2, 1]);
});

/** A host hangs while another one loads, after some hosts were killed. Resolves once the one that hangs is gone. */
const hungAmid = async (
  killed: number,
  times: SessionHostOptions['times'] = {},
): Promise<readonly [SessionHost, ProcessId, ProcessId]> => {
  const daemon = await start({ look: 50, answer: 3000, ...times });
  for (let ends = 1; ends <= killed; ends += 1) {
    process.kill((await started(ends)).pid, 'SIGKILL');
    await until('another host to serve', () => said(/runs again/).length === ends);
  }
  const first = await started(killed + 1);
  does('hang');
  writeFileSync(file('borg'), 'a new version');
  const second = await started(killed + 2);
  does('hang', 'deaf');
  await until('the old host to be killed', () => !isAlive(first) && daemon.state().ends > killed);
  expect(said(/does not run/).at(-1)).toMatchObject({ error: 'it did not answer' });
  expect(daemon.state()).toMatchObject({ running: false, ends: killed + 1 });
  expect([words('started').length, isAlive(second)]).toEqual([killed + 2, true]);
  return [daemon, first, second];
};

test('an old host that hangs while another loads is killed, and the other takes its place at once, however many hosts have ended before', async () => {
  const [{ state }, first, second] = await hungAmid(2, { again: 3_600_000, longestAgain: 3_600_000 });
  does();
  await until('the other host to serve', () => said(/runs again/).length === 3);
  expect(words('started').slice(2)).toEqual([first, second].map(({ pid }) => String(pid)));
  expect(state()).toEqual({ running: true, coldSince: null, ends: 3 });
});

test('if the other host does not start either, a third is started, and the log does not say that the old one goes on', async () => {
  const [{ state }, , second] = await hungAmid(0);
  // In this order: what no longer hangs could serve before it is killed. The third starts only after both.
  process.kill(second.pid, 'SIGKILL');
  does();
  await until('the third host to serve', () => said(/runs again/).length === 1);
  expect(state()).toMatchObject({ running: true, coldSince: null });
  expect(said(/goes on/)).toEqual([]);
});

const answer = (pid: number, name: string): string =>
  `account ${pid} 6 ${createHash('sha256').update(name).digest('hex')}`;

test('the host hears whose connection it asks about, once sshd has said so', async () => {
  const asks = (pid: number) => JSON.stringify({ event: 'asks', connection: [pid, 6] });
  writeFileSync(file('says'), `${[asks(60), asks(60), asks(61)].join('\n')}\n`);
  accounts.set(61, 'db01');
  await start();
  await until('the first answer', () => words('heard').includes(answer(61, 'db01')));
  expect(words('heard').length).toBe(1);
  accounts.set(60, 'web01');
  await until('the other answer', () => words('heard').includes(answer(60, 'web01')));
  expect(words('heard').length).toBe(2);
});

test('the host hears it if nobody knows a connection', async () => {
  writeFileSync(file('says'), `${JSON.stringify({ event: 'asks', connection: [60, 6] })}\n`);
  await start({ asked: 300 });
  await until('the answer', () => words('heard').includes('account 60 6 '));
});

test('at the end of the server the host may end, and is not started again', async () => {
  const { close } = await start();
  const only = await started(1);
  close();
  await until('the host to end', () => !isAlive(only));
  expect([words('retired').length, words('started').length, lines]).toEqual([1, 1, []]);
});

test('at the end of the server a host that still loads ends, too', async () => {
  const { close } = await start(QUICK);
  const first = await started(1);
  does('hang');
  writeFileSync(file('borg'), 'a new version');
  const second = await started(2);
  close();
  await until('both hosts to end', () => !isAlive(first) && !isAlive(second));
  expect([words('started').length, lines]).toEqual([2, []]);
});

test('a look that waits for its answer at the end of the server starts no other host', async () => {
  const follow = vi.spyOn(hosted, 'follow');
  const { close } = await start(QUICK);
  const only = await started(1);
  does('deaf');
  await until('a look to wait', () => words('ignored').length > 0);
  writeFileSync(file('borg'), 'a new version');
  close();
  await until('the host to end', () => !isAlive(only));
  // Node hears of ended processes in this order.
  await once(spawn('true'), 'exit');
  expect(follow).toHaveBeenCalledTimes(1);
});
