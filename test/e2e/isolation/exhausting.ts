import { chown, copyFile, mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { until } from '../harness/machine.ts';
import type { Finished, Running } from '../harness/program.ts';
import { open, requests } from '../harness/raw-borg.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { type Process, processesOf, sessionOf } from './processes.ts';
import { plant, REPOSITORIES, SESSIONS, speak } from './scene.ts';
import { agree, judge } from './verdict.ts';

/** A process with more memory than this has read the bomb, and is ended. */
const LIMIT = 300e6;

export const memoryByOptions: Try = async (actor, { server }) => {
  const { client, account, column, own } = actor;
  const bombs: readonly string[] = [
    `borg create --exclude-from /dev/zero ${own}::y /`,
    'borg serve --exclude-from /dev/zero --',
    `borg create --exclude-from /dev/zero ${own}::y / ; borg serve`,
  ];
  const verdicts: Record<string, Verdict> = {};
  for (const bomb of column === 'repo' ? bombs : bombs.slice(0, 1)) {
    const words = column === 'control' ? `echo $$ >${own}.pid; exec ${bomb}` : bomb;
    const session = client.ssh(account, [words], { input: requests(), reject: false });
    const found = column === 'control' ? () => ofPlainSshd(own) : () => processesOf(server, account);
    const { how, peak } = await peakMemory(session, found, async (pids) => {
      if (column === 'control') for (const pid of pids) process.kill(pid, 'SIGKILL');
      else await server.exec(['kill', '-KILL', ...pids.map(String)], { reject: false });
    });
    verdicts[bomb] = judge(peak > LIMIT, `${how.stdout}${how.stderr}`, /server_version/);
  }
  return agree(verdicts);
};

/** Watches the processes until the client ends, and has them ended if they eat the memory. */
const peakMemory = async (
  client: Running,
  look: () => Promise<readonly Process[]>,
  end: (pids: readonly number[]) => Promise<void>,
) => {
  let how: Finished | undefined;
  client.then((finished) => {
    how = finished;
  });
  let peak = 0;
  while (how === undefined) {
    const found = await look();
    peak = Math.max(peak, ...found.map(({ bytes }) => bytes));
    if (peak > LIMIT) {
      await end(found.map(({ pid }) => pid));
      how = await client;
    }
    await setTimeout(100);
  }
  return { how, peak };
};

/** The bomb of the plain sshd, which has written down its PID beside its repository. */
const ofPlainSshd = async (own: string): Promise<readonly Process[]> => {
  const pid = Number(await readFile(`${own}.pid`, 'utf8').catch(() => '0'));
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = /^VmRSS:\s*(\d+)/m.exec(status)?.[1];
  return pid > 0 && kilobytes ? [{ pid, bytes: Number(kilobytes) * 1024, words: '' }] : [];
};

export const memory: Try = async ({ client, account }) => {
  // Four million lists of one item: 8 MB to send, and 300 MB for whoever unpacks them.
  const lists = (inner: Buffer, count: number) =>
    Buffer.concat([Buffer.of(0xdc, 0, count), ...Array(count).fill(inner)]);
  const bomb = lists(lists(lists(lists(Buffer.of(0x91, 0xc0), 100), 100), 100), 4);
  const text = (word: string) => Buffer.concat([Buffer.of(0xa0 | word.length), Buffer.from(word)]);
  const head = [Buffer.of(0x83), text('i'), Buffer.of(7), text('m'), text('negotiate'), text('a')];
  const input = Buffer.concat([requests(), ...head, Buffer.of(0x81), text('client_data'), bomb]);
  const { stdout, stderr } = await client.ssh(account, ['borg serve'], { input, reject: false });
  if (/needs more memory .*SESSION_MEMORY/.test(stderr)) return 'limited';
  return judge(stdout.split('server_version').length > 2, `${stdout}${stderr}`);
};

/** What ssh says if the server has ended the newest connection before its session could say why: on a busy machine the launcher is late. */
const CUT_OFF = /^Connection to \S+ closed by remote host\.\s*$/;

export const sessions: Try = async (actor, scene) => {
  for (let left = 10; ; left -= 1) {
    const [verdict, said] = await tooManySessions(actor, scene);
    if (left === 0 || !CUT_OFF.test(said)) return verdict();
  }
};

/** The verdict, and what was said other than a refusal. */
const tooManySessions = async (
  { client, account, owner, column }: Parameters<Try>[0],
  { plain }: Parameters<Try>[1],
): Promise<readonly [verdict: () => Awaited<ReturnType<Try>>, said: string]> => {
  let refused = 0;
  let other = '';
  const begun = Array.from({ length: SESSIONS + 1 }, (_, number) => {
    // A session that waits shows nothing here. At the plain sshd each session leaves a mark.
    const words = column === 'control' ? `touch '${plain.folder}/session-${number}'; exec borg serve` : 'borg serve';
    const session = client.ssh(account, [words], { input: 'pipe', reject: false });
    session.stdin?.write(requests());
    session.then(({ stderr }) => {
      if (stderr.includes('SESSIONS_PER_ACCOUNT')) refused += 1;
      else other += stderr;
    });
    return session;
  });
  const opened = async () =>
    column === 'control' && (await readdir(plain.folder)).filter((name) => name.startsWith('session-')).length;
  try {
    const all = await until('all sessions, or a refusal', async () => {
      if ((await opened()) === begun.length) return 'allowed';
      return refused === 1 || other !== '' ? 'refused' : undefined;
    });
    if (all === 'allowed' || refused === 0) return [() => judge(all === 'allowed', other), other];
    const { stdout, stderr } = await owner.client.ssh(owner.account, ['borg', '--version'], { reject: false });
    return [() => (stdout.startsWith('borg ') ? 'limited' : judge(false, stderr)), other];
  } finally {
    for (const each of begun) each.stdin?.end();
    await Promise.all(begun);
  }
};

export const repositories: Try = async (actor) => {
  const folder = dirname(actor.ownFolder);
  const names = Array.from({ length: REPOSITORIES + 1 }, (_, number) => `made-by-${actor.account}-${number}`);
  let said = '';
  // Each name gets its own session: a session that has made a repository makes no other.
  for (const name of names) {
    const { stdout, stderr } = await speak(actor, [open(`${dirname(actor.own)}/${name}`, { create: true })]);
    said += `${stdout}${stderr}`;
  }
  const made = (await readdir(folder)).filter((name) => names.includes(name));
  for (const name of made) await rm(join(folder, name), { recursive: true });
  if (made.length > 0 && said.includes('REPOSITORIES_PER_ACCOUNT')) return 'limited';
  return judge(made.length === names.length, said);
};

/** How many tiny files there are, how many more are made, and how many a day come without a wait. */
const [MADE, MORE, FREE] = [300, 4, 10_000];
/** Segments to a folder of borg's. */
const FOLDER = 1000;

export const inodes: Try = async (actor, { restore }) => {
  const { own, ownFolder, column } = actor;
  const commit = (count: number) => {
    const tiny = Array.from({ length: count }, (_, each) => plant('', `tiny ${each}`).slice(1)).flat();
    return speak(actor, [open(own, { exclusive: true }), ...tiny]);
  };
  const first = await commit(1);
  if (/Permission denied/.test(first.stderr)) return judge(false, first.stderr);
  // The test makes these files itself, so that nobody has to wait for the loop.
  const data = join(ownFolder, 'data');
  const highest = async (path: string) => Math.max(...(await readdir(path)).map(Number));
  const latest = async () => highest(join(data, String(await highest(data))));
  const placeOf = (segment: number) => join(data, String(Math.floor(segment / FOLDER)), String(segment));
  const last = await latest();
  const { uid, gid } = await stat(placeOf(last));
  // They are of this day, but not of the last minutes. Otherwise the gap would count as made just now, and each file would wait a minute, not a second.
  const earlier = Date.now() / 1000 - 600;
  await utimes(placeOf(last), earlier, earlier);
  for (let made = 1; made <= MADE; made += 1) {
    // There is a gap in the numbers, as a compaction leaves it.
    const segment = last + FREE - MADE + made;
    if (await mkdir(dirname(placeOf(segment)), { recursive: true })) await chown(dirname(placeOf(segment)), uid, gid);
    await copyFile(placeOf(last), placeOf(segment));
    await chown(placeOf(segment), uid, gid);
  }
  if (first.stdout.includes('exception_class')) throw new Error(first.stdout);
  const written = async (segment: number) => (await stat(placeOf(segment))).mtimeMs;
  const isSlow = async (): Promise<boolean> => {
    const next = (await latest()) + 1;
    const { stdout } = await commit(MORE);
    if (stdout.includes('exception_class')) throw new Error(stdout);
    return (await written(await latest())) - (await written(next)) > (MORE - 1.5) * 1000;
  };
  // The server waits for a second before each file, and never less. On a busy machine other clients may take as long, but not each time.
  let slow = await isSlow();
  for (let times = 1; slow && column === 'control' && times < 10; times += 1) slow = await isSlow();
  await restore(actor);
  return slow ? 'limited' : 'allowed';
};

/** What the kernel allows the session, as getrlimit(2) has it: borg serve needs no process, and about a hundred files. */
export const processes: Try = async ({ client, account, column }, { server }) => {
  const words = column === 'control' ? 'cat /proc/self/limits' : 'borg serve';
  const session = client.ssh(account, [words], { input: 'pipe', reject: false });
  let ended = false;
  session.then(() => {
    ended = true;
  });
  session.stdin?.write(requests());
  // At first the process is only Python that starts. The limits are set before borg is loaded.
  const bounded = async () => {
    const pid = await sessionOf(server, account);
    const { stdout } = await server.look(['cat', `/proc/${pid}/limits`], { reject: false });
    return /^Max processes +0 +0 /m.test(stdout) && /^Max open files +256 +256 /m.test(stdout);
  };
  const found = await until('the limits, or an end', async () =>
    column !== 'control' && (await bounded()) ? 'limited' : ended && 'ended',
  );
  session.stdin?.end();
  const { stdout, stderr } = await session;
  if (found === 'limited') return found;
  return judge(/^Max processes +[1-9]/m.test(stdout), stderr);
};

export const flood: Try = async (actor, { controls, actors }) => {
  const sockets: Socket[] = [];
  const { port } = actor;
  // These are more connections than sshd's own MaxStartups, 10:30:100, lets wait for their login.
  for (let number = 0; number < 120; number += 1) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    sockets.push(socket);
    await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
  }
  const { client, account } = actor.column === 'control' ? controls['plain sshd'] : actors.repo;
  const { stdout, stderr } = await client.ssh(account, ['borg', '--version'], { reject: false });
  for (const socket of sockets) socket.destroy();
  return stdout.startsWith('borg ') ? 'limited' : judge(true, stderr);
};
