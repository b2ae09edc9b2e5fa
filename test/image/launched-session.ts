import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { findBorg } from '../../src/borg/interpreter.ts';
import { PATIENCE_MS } from '../e2e/harness/patience.ts';
import { GREETING, request, type Value } from '../e2e/harness/raw-borg.ts';

export type LaunchOptions = {
  readonly launcher: string;
  /** The folder of all repositories, and the repository of the session. */
  readonly repos: string;
  readonly repository: string;
  readonly account: string;
  /** The words that restrict the session. If left out, they restrict it to that repository. */
  readonly restriction?: readonly string[];
  /** Words before `--`, for the launcher. More words after `serve`, for borg. */
  readonly before?: readonly string[];
  readonly more?: readonly string[];
  /** What the client asks for. */
  readonly command?: string;
  /** More options for Python, before the launcher. */
  readonly python?: readonly string[];
  /** User and group id of the process; root's if left out. */
  readonly uid?: number;
};

export type Call = readonly [method: string, args?: Value];

/** Starts the launcher as sshd does, with the installed borg, without sending anything yet. */
export const launch = (options: LaunchOptions): ChildProcessWithoutNullStreams => {
  const { launcher, repos, repository, account, before = [], more = [], python = [], uid } = options;
  const { command = 'borg serve' } = options;
  const { restriction = ['--restrict-to-repository', repository] } = options;
  const serve = ['serve', '--umask', '0007', ...restriction, ...more];
  return spawn(findBorg().python, ['-I', ...python, launcher, '--session', '', ...before, '--', ...serve], {
    cwd: '/',
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: {
      SSH_ORIGINAL_COMMAND: command,
      ...{ USER: account, HOME: repository, LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin' },
      ...{ BORG_BASE_DIR: repos, BORG_HOST_ID: 'borgserver-of-this-test' },
    },
  });
};

/** Greets a launched borg and speaks with it. An answer is msgpack: its texts can be searched in it. */
export const converse = async (borg: ChildProcessWithoutNullStreams) => {
  let chunks: Buffer[] = [];
  let said = '';
  borg.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  borg.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // borg may end before it has read everything.
  borg.stdin.on('error', () => {});
  const exited = once(borg, 'close');
  let number = 0;
  /** Sends all calls at once. Resolves with the answers when the last one has begun to come: a long one may be incomplete. */
  const callAll = async (calls: readonly Call[]): Promise<string> => {
    chunks = [];
    const sent = calls.map(([method, args = {}]) => {
      number = (number % 127) + 1;
      return request(number, [method, args]);
    });
    borg.stdin.write(Buffer.concat(sent));
    const mark = Buffer.of(0xa1, 0x69, number);
    const wanted = Math.ceil(calls.length / 127);
    let found = 0;
    let rest = Buffer.alloc(0);
    for (let next = 0; found < wanted; ) {
      while (next >= chunks.length)
        await once(borg.stdout, 'data', { signal: AbortSignal.timeout(PATIENCE_MS) }).catch((cause: unknown) => {
          const heard = Buffer.concat(chunks).subarray(-400).toString('latin1');
          throw new Error(`waited in vain for the end of answer ${number}; heard last: ${heard}; ${said}`, { cause });
        });
      const chunk = Buffer.concat([rest, chunks[next] ?? rest]);
      next += 1;
      let at = chunk.indexOf(mark);
      // The bytes after the last mark may be the first part of another one.
      let end = Math.max(0, chunk.length - 2);
      for (; at >= 0; at = chunk.indexOf(mark, at + mark.length)) {
        found += 1;
        end = Math.max(end, at + mark.length);
      }
      rest = chunk.subarray(end);
    }
    return Buffer.concat(chunks).toString('latin1');
  };
  const call = (method: string, args: Value = {}): Promise<string> => callAll([[method, args]]);
  await call(...GREETING);
  return {
    call,
    callAll,
    pid: borg.pid ?? 0,
    borg,
    exited,
    /** What borg has written to standard error so far. */
    said: () => said,
    /** Closes borg's input, and resolves with its exit code. */
    end: async (): Promise<number | null> => {
      borg.stdin.end();
      await exited;
      return borg.exitCode;
    },
    kill: async (): Promise<void> => {
      borg.kill('SIGKILL');
      await exited;
    },
  };
};
