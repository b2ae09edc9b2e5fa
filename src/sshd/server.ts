import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { strangersFirst } from './strangers-first.ts';

/** How the listener ended. A code or a signal, or the error that kept it from starting. */
export type SshdExit = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  /** It was asked to end, by stop(). */
  readonly stopped: boolean;
};

export type Sshd = {
  /** The listener's; undefined if it could not be started. */
  readonly pid: number | undefined;
  /** Ends the listener: nobody can connect any more, running sessions go on. Resolves when it has ended. */
  readonly stop: () => Promise<void>;
};

/** Enough for every line of sshd; more is somebody who wants to fill a log. */
export const MAX_LINE_BYTES = 4096;

/** Where sshd locks up the process that talks to strangers; compiled into Debian's sshd, and lost with every /run. */
const PRIVILEGE_SEPARATION_FOLDER = '/run/sshd';

/**
 * Has sshd read its configuration and host keys without starting (sshd -t).
 *
 * @throws Error with cause `{ code: 'bad-sshd-config', file, found }`, found being sshd's own words
 */
export const testConfig = async (sshd: string, configPath: string): Promise<void> => {
  mkdirSync(PRIVILEGE_SEPARATION_FOLDER, { recursive: true, mode: 0o755 });
  const result = await execa(sshd, ['-t', '-f', configPath], { reject: false, stdin: 'ignore', all: true });
  if (result.exitCode !== 0) {
    const found = result.all.trim() || result.shortMessage || 'no message';
    throw new Error('sshd refuses its configuration', { cause: { code: 'bad-sshd-config', file: configPath, found } });
  }
};

/**
 * Tests the configuration, then starts sshd in the foreground (sshd -D -e).
 *
 * @param options.onLine gets each line of the log, without its end, cut to 4 KiB. Lines of sessions that outlive the listener come too
 * @param options.onExit called once, when the listener has ended
 * @throws what testConfig throws
 */
export const startSshd = async (options: {
  /** Absolute path of sshd. */
  readonly sshd: string;
  readonly configPath: string;
  readonly onLine: (line: string) => void;
  readonly onExit: (reason: SshdExit) => void;
}): Promise<Sshd> => {
  await testConfig(options.sshd, options.configPath);
  let stopped = false;
  const [program, ...words] = strangersFirst(options.sshd, '-D', '-e', '-f', options.configPath);
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    // A process group of its own: Ctrl-C in the daemon's terminal is for the daemon to answer.
    detached: true,
  });
  readLines(child.stderr, options.onLine);
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
  });
  return {
    pid: child.pid,
    stop: () => {
      stopped = true;
      child.kill('SIGTERM');
      return ended;
    },
  };
};

/** Splits at \n and nowhere else: sshd escapes what clients send, but a carriage return or U+2028 must never begin a line of its own. */
const readLines = (stream: Readable, onLine: (line: string) => void): void => {
  let pending: Buffer[] = [];
  let length = 0;
  const keep = (bytes: Buffer): void => {
    const room = MAX_LINE_BYTES - length;
    if (room > 0 && bytes.length > 0) pending.push(bytes.subarray(0, room));
    length += bytes.length;
  };
  const finish = (): void => {
    // sshd -e ends its lines with \r\n.
    const line = Buffer.concat(pending).toString('utf8').replace(/\r$/, '');
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
  stream.on('end', finish);
  // The log is not worth the daemon's life.
  stream.on('error', () => {});
};
