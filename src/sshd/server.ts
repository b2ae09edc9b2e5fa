import { mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { failure } from '../failure.ts';
import { readStatFields } from '../system/proc.ts';
import { spawnSafely } from '../system/spawn.ts';
import { type Message, parseMessage } from './message.ts';
import { strangersFirst } from './strangers-first.ts';

/** How the listener ended: a code or a signal, or the error because of which it did not start. */
export type SshdExit = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  /** Whether stop() ended it. */
  readonly stopped: boolean;
};

export type Sshd = {
  /** The listener's pid; undefined if it could not be started. */
  readonly pid: number | undefined;
  /**
   * Ends the listener: nobody can connect any more, running sessions go on. Resolves when it has ended.
   *
   * @param halted called while the listener is stopped (SIGSTOP): it starts no more children, and those that it has are still its own
   */
  readonly stop: (halted?: () => void) => Promise<void>;
};

/** sshd still runs, but its log cannot be read any more. */
export const LOG_HAS_ENDED = 'its log has ended';

/** Enough for every line that image/sshd-with-log writes. A longer line comes from somebody who wants to fill a log. */
const MAX_LINE_BYTES = 32_768;

/** sshd locks the process that talks to strangers into this folder (chroot). Debian's sshd has the path compiled in. A new /run does not have it. */
const PRIVILEGE_SEPARATION_FOLDER = '/run/sshd';

/**
 * Makes sshd read its configuration and host keys without starting (sshd -t).
 *
 * @throws Error with cause `{ code: 'bad-sshd-config', file, found }`; found: sshd's own words
 */
export const testConfig = async (sshd: string, configPath: string): Promise<void> => {
  mkdirSync(PRIVILEGE_SEPARATION_FOLDER, { recursive: true, mode: 0o755 });
  const result = await execa(sshd, ['-t', '-f', configPath], { reject: false, stdin: 'ignore', all: true });
  if (result.exitCode !== 0) {
    const found = result.all.trim() || result.shortMessage || 'no message';
    throw failure('sshd refuses its configuration', { code: 'bad-sshd-config', file: configPath, found });
  }
};

/**
 * Tests the configuration, then starts sshd in the foreground (sshd -D -e), by the small program that asks the kernel who wrote each
 * message of its log.
 *
 * @param options.onMessage gets each message, also from sessions that outlive the listener
 * @param options.onExit called once, when the listener has ended, or when its log has ended while it still runs
 * @throws what testConfig throws
 */
export const startSshd = async (options: {
  /** Absolute path of sshd. */
  readonly sshd: string;
  readonly configPath: string;
  /** A Python interpreter, and the shipped image/sshd-with-log. */
  readonly python: string;
  readonly starter: string;
  readonly onMessage: (message: Message) => void;
  readonly onExit: (reason: SshdExit) => void;
}): Promise<Sshd> => {
  await testConfig(options.sshd, options.configPath);
  let stopped = false;
  const sshd = strangersFirst(options.sshd, '-D', '-e', '-f', options.configPath);
  const { child, stdout } = spawnSafely(options.python, ['-I', options.starter, ...sshd], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // A process group of its own: only the daemon reacts to Ctrl-C in its terminal.
    detached: true,
  });
  const logEnded = readLines(stdout, (line) => {
    const message = parseMessage(line);
    if (message) options.onMessage(message);
  });
  const ended = new Promise<void>((resolve) => {
    let told = false;
    const tell = (reason: Omit<SshdExit, 'stopped'>): void => {
      if (told) return;
      told = true;
      options.onExit({ ...reason, stopped });
      resolve();
    };
    child.once('error', (error) => tell({ code: null, signal: null, error: error.message }));
    child.once('exit', (code, signal) => tell({ code, signal, error: null }));
    // Without the log nobody can tell who logs in. If the listener itself has ended, 'exit' comes within this second, and tells it first.
    void logEnded.then(() => setTimeout(() => tell({ code: null, signal: null, error: LOG_HAS_ENDED }), 1000).unref());
  });
  return {
    pid: child.pid,
    stop: async (halted) => {
      stopped = true;
      try {
        if (halted && child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
          child.kill('SIGSTOP');
          await standsStill(child.pid);
          halted();
        }
      } finally {
        // TERM before CONT: with TERM pending it ends before it accepts another connection.
        child.kill('SIGTERM');
        child.kill('SIGCONT');
      }
      await ended;
    },
  };
};

const STOPPED: ReadonlySet<string | undefined> = new Set(['T', 't', 'Z', 'X']);
const MOST_LOOKS = 100;

/** A process gets a signal when it runs the next time: on a busy machine that is a moment later. */
const standsStill = async (pid: number): Promise<void> => {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    if (STOPPED.has(stateOf(pid))) return;
    await pause(10);
  }
};

const stateOf = (pid: number): string | undefined => {
  try {
    return readStatFields(pid)[0];
  } catch {
    return 'X';
  }
};

/** Splits at \n and nowhere else; U+2028 must never begin a line of its own. Resolves when nothing more will come. */
export const readLines = (stream: Readable, onLine: (line: string) => void): Promise<void> => {
  let pending: Buffer[] = [];
  let length = 0;
  const keep = (bytes: Buffer): void => {
    const room = MAX_LINE_BYTES - length;
    if (room > 0 && bytes.length > 0) pending.push(bytes.subarray(0, room));
    length += bytes.length;
  };
  const finish = (): void => {
    const line = Buffer.concat(pending).toString('utf8');
    pending = [];
    length = 0;
    if (line !== '') onLine(line);
  };
  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      finish();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  });
  return new Promise((resolve) => {
    stream.on('end', () => {
      finish();
      resolve();
    });
    stream.on('error', () => resolve());
  });
};
