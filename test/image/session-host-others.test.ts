import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { readChildren } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';
import {
  type ClientOptions,
  COLD,
  type HostOptions,
  heard,
  prepareHost,
  type RealHost,
  ROLES,
  removeHost,
  startClient,
  startHost,
} from './hosted-session.ts';
import { converse } from './launched-session.ts';

// Which sessions count that a session host has not begun: those that were on their way before it had opened its doors.

let folder: string;
let running: { kill: (signal?: NodeJS.Signals) => unknown }[];

beforeEach(() => {
  running = [];
});
afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  removeHost(folder);
});

const keep = <T extends { kill: (signal?: NodeJS.Signals) => unknown }>(each: T): T => {
  running.push(each);
  return each;
};
const REFUSED = { code: 1, error: expect.stringContaining('has 1 sessions') };

/** A host that writes down each look for others that is over. */
const LOOKING = `
import os, runpy, sys
del sys.argv[0]
folder = os.path.dirname(sys.argv[0])
sys.path.append(folder)
from launcher.others import Others
pass_time = Others.pass_time
def pass_and_tell(self):
    looks = self.looks
    pass_time(self)
    if looks is not None and self.looks is None:
        with open(os.path.join(folder, 'looks'), 'a') as file:
            print(looks, file=file)
Others.pass_time = pass_and_tell
runpy.run_path(sys.argv[0], run_name='__main__')
`;
const looks = (): number =>
  existsSync(`${folder}/looks`) ? readFileSync(`${folder}/looks`, 'utf8').split('\n').length - 1 : 0;

/** A machine where nobody else's sessions are to be seen: words that start there what the words behind them start. */
const alone = async (): Promise<readonly string[]> => {
  const words = ['--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', 'echo here; read x'];
  const first = keep(spawn('unshare', words));
  await once(first.stdout, 'data');
  const [inside] = readChildren(first.pid ?? 0);
  return ['nsenter', '-t', String(inside), '-p', '-m', '--'];
};
const startThere = async (there: readonly string[]): Promise<RealHost> => {
  writeFileSync(`${folder}/looking.py`, LOOKING);
  const before = looks();
  const started = await startHost(folder, { by: there, program: [`${folder}/looking.py`] });
  keep(started.child);
  await until('the first look of the host to be over', () => looks() > before);
  return started;
};

/** As much as is to be seen of a session of web01's that has loaded borg itself. */
const SEEN = `sh -c 'echo here >&2; read x' --account web01 --box auto --`;
const says = async (process_: ChildProcessWithoutNullStreams, word: string): Promise<void> => {
  let said = '';
  process_.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until(`the client to say ${word}`, () => said.includes(word));
};

/** A client that has found no door. Nobody can see what it begins by itself, until a line is said to it. */
const onItsWay = async (begins: string, options: ClientOptions = {}): Promise<ChildProcessWithoutNullStreams> => {
  const client = keep(startClient(folder, { ...options, cold: `echo ${COLD} >&2; read x; ${begins}` }));
  await says(client, COLD);
  return client;
};

test('a session that is on its way when the doors open counts, however late it is to be seen', async () => {
  folder = await prepareHost({ sessions: 1 });
  const there = await alone();
  const cold = await onItsWay(`exec ${SEEN}`, { there });
  await startThere(there);
  const seen = says(cold, 'here');
  cold.stdin.write('\n');
  await seen;
  for (let times = 0; times < 3; times += 1) {
    expect(await heard(keep(startClient(folder, { there })))).toMatchObject(REFUSED);
  }
});

test('if nobody can be on the way, no session looks for others, also if there was a host before', async () => {
  folder = await prepareHost({ sessions: 1 });
  const there = await alone();
  for (const _ of ['the first', 'the next']) {
    const { child } = await startThere(there);
    // This one has come to no door, and nobody was turned away: so no session looks for it.
    const [first = '', ...rest] = there;
    const words = ['setpriv', '--reuid', '30101', '--regid', '30101', '--clear-groups', 'sh', '-c', SEEN];
    const other = keep(spawn(first, [...rest, ...words]));
    await says(other, 'here');
    expect(await heard(keep(startClient(folder, { there })))).toMatchObject({ code: 0 });
    other.stdin.end();
    child.stdin.end();
    await Promise.all([once(other, 'exit'), once(child, 'exit')]);
  }
});

test('a cold session that nobody could see yet counts a hosted one that began meanwhile', async () => {
  // An account that every Debian has, the image too (image/Dockerfile): a cold start looks it up. No other test file's sessions are its: those of
  // `nobody` are, and one of them would count here.
  const uid = Number((await execa('id', ['-u', '_apt'])).stdout);
  const account: HostOptions & ClientOptions = { account: '_apt', uid, groups: [ROLES.repo, uid] };
  folder = await prepareHost({ ...account, sessions: 1 });
  const repository = `${folder}/repos/_apt`;
  const own = '--session "$SSH_CONNECTION" --account _apt --sessions 1 --memory auto --min-free 1 --box auto';
  const serve = `serve --umask 0007 --restrict-to-repository ${repository}`;
  const launcher = `exec ${findBorg().python} -I ${folder}/borg-serve ${own} -- ${serve}`;
  const cold = await onItsWay(`export USER=_apt HOME=${repository}; ${launcher}`, account);
  keep((await startHost(folder)).child);
  const borg = await converse(keep(startClient(folder, account)));
  expect(await heard(cold, '\n')).toMatchObject(REFUSED);
  expect(await borg.end()).toBe(0);
});

/** Has a title like a hosted session of this account, until its input ends. */
const HOSTED = `
import sys
sys.path.append(sys.argv[1])
from launcher.title import Title
Title().write(b'borg-serve\\0--hosted\\0--account\\0later\\0--box\\0auto\\0--\\0')
print('here', flush=True)
sys.stdin.read()`;
/** Counts, once it has been told of a hosted session that it has seen before. Its second argument says what that one does while this one waits. */
const COUNTS = `
import contextlib, os, sys
sys.path.append(sys.argv[1])
from launcher import crowd
print('here', flush=True)
seen = int(sys.stdin.readline())
def wait(_):
    print('waits', flush=True)
    with contextlib.suppress(ProcessLookupError): os.kill(seen, 9)
if sys.argv[2] == 'goes': crowd.time.sleep = wait
else: crowd.LEAVING = 0
print(crowd.refuse_beyond(1, 'later', {seen})[1], flush=True)`;

test.each([
  { hosted: 'goes', expected: { code: 0, out: expect.stringMatching(/waits\n0\n$/) } },
  { hosted: 'stays', expected: REFUSED },
])(
  'a session waits for a hosted one that may have been refused, and counts it if it stays: here it $hosted',
  async ({ hosted, expected }) => {
    folder = await prepareHost();
    const { python } = findBorg();
    const counts = keep(spawn(python, ['-c', COUNTS, folder, hosted]));
    await once(counts.stdout, 'data');
    const later = keep(spawn(python, ['-c', HOSTED, folder, '-'.repeat(200)]));
    await once(later.stdout, 'data');
    expect(await heard(counts, `${later.pid}\n`)).toMatchObject(expected);
  },
);
