import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { printable } from '../text/printable.ts';
import { createBucket } from './bucket.ts';
import { memoryOf, stampOf } from './host-age.ts';
import type { HostedSession, HostLine } from './host-line.ts';
import { type HostProcess, type HostProgram, startHostProcess } from './host-process.ts';
import type { Hosted } from './hosted.ts';
import { idOf, type ProcessId } from './process.ts';
import type { TrailLog } from './trail.ts';

/** Milliseconds. */
const TIMES = {
  /** How long its first start may take. The server waits for it. The host imports borg, on a machine that may be busy. */
  start: 20_000,
  /** The same later on. Nobody waits for that, and hundreds of sessions that load borg themselves meanwhile may leave it little of the CPU. */
  laterStart: 120_000,
  /**
   * How often the server checks that it answers, and how long an answer may take. A crowd of hundreds may keep it busy for seconds. The clients
   * of one that hangs wait until it is ended (image/session-client).
   */
  look: 30_000,
  answer: 20_000,
  /** How long sshd's line about a login may take to be read. In a crowd many lines come before it. */
  asked: 30_000,
  /** Where it ends again and again: the wait before it is started again, after the third end in ten minutes. Each further wait is twice as long. */
  again: 1000,
  longestAgain: 60_000,
};
const RECENT_MS = 600_000;
const HOUR_MS = 3_600_000;
const ASK_AGAIN_MS = 20;
const COMPLAINTS = { burst: 3, perSecond: 1 / 60 };

/** How the session host is. */
export type SessionHostState = {
  readonly running: boolean;
  /** Since when sessions load borg themselves, in milliseconds since the epoch; null: they do not. */
  readonly coldSince: number | null;
  /** How often it has ended by itself, or did not answer, in the last hour. */
  readonly ends: number;
};

export type SessionHost = { readonly state: () => SessionHostState; readonly close: () => void };

/** What a session host is started and looked after with. */
export type SessionHostOptions = HostProgram & {
  /** The files that it has loaded. Where one of them changes, the host is replaced. */
  readonly files: readonly string[];
  readonly hosted: Pick<Hosted, 'follow' | 'began' | 'ended'>;
  /** Each session as it begins, once `hosted` knows it. */
  readonly onBegan: (session: HostedSession) => void;
  /** Whose connection it is, as sshd says; undefined where sshd has not said so yet. */
  readonly accountOf: (connection: ProcessId) => string | undefined;
  readonly log: TrailLog;
  readonly times?: Partial<typeof TIMES>;
};

/**
 * Runs the session host. Starts it again when it ends or does not answer. Replaces it when what it has loaded has changed or its memory has
 * grown: the new one serves before the old one retires. Where there is no host, sessions load borg themselves.
 *
 * @returns resolves when it serves, or has failed to; close() lets it end with its last session
 */
export const startSessionHost = async (options: SessionHostOptions): Promise<SessionHost> => {
  const { files, hosted, log } = options;
  const times = { ...TIMES, ...options.times };
  const mayComplain = createBucket(COMPLAINTS.burst, COMPLAINTS.perSecond, () => performance.now());
  const asked = new Set<string>();
  let current: { readonly host: HostProcess; readonly stamp: string; readonly memory: number } | null = null;
  let starting: Promise<boolean> | null = null;
  /** The one that is being started. */
  let loading: HostProcess | null = null;
  let coldSince: number | null = null;
  let ends: readonly number[] = [];
  let closed = false;

  /** Answers when sshd's line has come, which may be a moment after the login. */
  const answer = async (host: HostProcess, connection: ProcessId): Promise<void> => {
    const id = idOf(connection);
    if (asked.has(id)) return;
    asked.add(id);
    const end = performance.now() + times.asked;
    let name = options.accountOf(connection);
    while (name === undefined && performance.now() < end) {
      await pause(ASK_AGAIN_MS);
      name = options.accountOf(connection);
    }
    asked.delete(id);
    // Only the digest: each session has a copy of the host's memory, and nobody's name may be in it.
    host.say(`account ${id} ${name === undefined ? '' : createHash('sha256').update(name).digest('hex')}`);
  };

  const hear = (host: HostProcess, line: HostLine | null): void => {
    switch (line?.event) {
      case 'began':
        hosted.began(line.session);
        options.onBegan(line.session);
        return;
      case 'ended':
        hosted.ended(line.process, line.usage);
        return;
      case 'asks':
        void answer(host, line.connection);
        return;
      case 'trouble':
        if (mayComplain()) log.warn({ trouble: printable(line.what, 300) }, 'the session host has trouble');
        return;
      default:
        if (mayComplain()) log.warn({}, 'the session host said something that cannot be read; it is left out');
    }
  };

  const begin = async (limit: number): Promise<boolean> => {
    // A look may have waited for its answer while the server came to its end.
    if (closed) return false;
    const stamp = stampOf(files);
    const host: HostProcess = startHostProcess(options, limit, (line) => hear(host, line));
    loading = host;
    if (host.process) hosted.follow(host.process);
    const isReady = await host.ready;
    loading = null;
    if (closed) host.retire();
    if (closed || !isReady) return false;
    // The new host's doors are in the place of the old ones already.
    current?.host.retire();
    current = { host, stamp, memory: memoryOf(host.process) };
    void host.ended.then((how) => lose(host, how));
    return true;
  };

  /** One start at a time, whoever asks for it. */
  const start = (limit = times.laterStart): Promise<boolean> => {
    starting ??= begin(limit)
      .catch(() => false)
      .finally(() => {
        starting = null;
      });
    return starting;
  };

  const recover = async (why: string): Promise<void> => {
    coldSince ??= Date.now();
    const since = new Date(coldSince).toISOString();
    log.warn({ error: why, since }, 'the session host does not run: sessions load borg themselves, which is slower');
    while (!closed) {
      ends = [...ends.filter((at) => Date.now() - at < HOUR_MS), Date.now()];
      const recent = ends.filter((at) => Date.now() - at < RECENT_MS).length;
      // One that is being started already, to replace the one that has ended, is waited for at once: otherwise it would be replaced after the pause.
      if (recent > 2 && !starting)
        await pause(Math.min(times.again * 2 ** (recent - 3), times.longestAgain), null, { ref: false });
      if (closed || !(await start())) continue;
      log.info({ seconds: Math.round((Date.now() - coldSince) / 1000) }, 'the session host runs again');
      coldSince = null;
      return;
    }
  };

  const lose = (host: HostProcess, how: string): void => {
    if (closed || current?.host !== host) return;
    current = null;
    void recover(host === silent ? 'it did not answer' : how);
  };

  let silent: HostProcess | null = null;
  const replace = async (old: HostProcess, why: string): Promise<void> => {
    if (await start()) log.info({ reason: why }, 'the session host was replaced');
    // Where the old one has ended meanwhile, that was told, and it is being started again.
    else if (!closed && current?.host === old && mayComplain())
      log.warn({ reason: why }, 'the session host could not be replaced; the old one goes on');
  };

  const look = async (): Promise<void> => {
    const looked = current;
    if (!looked) return;
    if (!(await looked.host.answers(times.answer))) {
      silent = looked.host;
      looked.host.kill();
    } else if (current === looked && !starting) {
      // Nobody waits for it here: the old one serves until then, and may hang meanwhile.
      if (stampOf(files) !== looked.stamp) void replace(looked.host, 'borg or its interpreter has changed');
      else if (hasGrown(looked.memory, memoryOf(looked.host.process)))
        void replace(looked.host, 'its memory has grown');
    }
  };

  if (!(await start(times.start))) void recover('it could not be started');
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  }, times.look);
  return {
    state: () => ({
      running: current !== null,
      coldSince,
      ends: ends.filter((at) => Date.now() - at < HOUR_MS).length,
    }),
    close: () => {
      closed = true;
      clearInterval(timer);
      current?.host.retire();
      // It would load on, open its doors, and only then hear that there is no server any more. Where its doors are open already, it has no session
      // that would miss it: the server ends all sessions before it closes this.
      loading?.kill();
    },
  };
};

/** By more than half of what it had at its start, and by more than 16 MB. */
const hasGrown = (before: number, now: number): boolean => now > before * 1.5 && now - before > 16e6;
