import process from 'node:process';
import { failure } from '../failure.ts';
import type { Places } from '../places.ts';
import { findProgram, isProgram, searchFolders } from '../system/path.ts';
import { readSshdWords } from './sshd-words.ts';

export type Entrypoint =
  | { readonly kind: 'server'; readonly words: readonly string[] }
  | { readonly kind: 'exec'; readonly file: string; readonly args: readonly string[] }
  | { readonly kind: 'borg'; readonly words: readonly string[] };

/**
 * What the words of `docker run IMAGE …` mean: `sshd` is the server; `borg`, and any word that is no program, is a borg command;
 * any other program runs as it is.
 *
 * @param findProgram the path of the program that a word means, or null
 */
export const decideEntrypoint = (
  words: readonly string[],
  findProgram: (word: string) => string | null,
): Entrypoint => {
  const [first, ...args] = words;
  if (first === 'sshd') return { kind: 'server', words: args };
  // borg is a program too, but must not run as root on a repository.
  if (first === 'borg') return { kind: 'borg', words: args };
  const file = first ? findProgram(first) : null;
  return file === null ? { kind: 'borg', words } : { kind: 'exec', file, args };
};

/**
 * `borgserver entrypoint …`: does what the words mean. A program replaces this process.
 *
 * @returns the exit code of the server or of borg
 * @throws Error with cause `{ code: 'bad-sshd-arguments', problems }`
 */
export const runEntrypoint = async (words: readonly string[], places: Places): Promise<number> => {
  const entrypoint = decideEntrypoint(words, findOnPath);
  switch (entrypoint.kind) {
    case 'server':
      return runServerWith(entrypoint.words, places);
    case 'borg': {
      const { runBorgCommand } = await import('./on-this-machine.ts');
      return runBorgCommand(entrypoint.words, places);
    }
    case 'exec':
      return replaceProcess(entrypoint.file, entrypoint.args);
  }
};

/**
 * `borgserver sshd …`, and the entry point's `sshd …`: the server, with those of sshd's arguments that have a meaning here.
 *
 * Does not return: the process ends with the server's exit code.
 *
 * @throws Error with cause `{ code: 'bad-sshd-arguments', problems }`
 */
export const runServerWith = async (words: readonly string[], places: Places): Promise<never> => {
  const read = readSshdWords(words);
  if ('problems' in read) {
    throw failure('the server cannot be started with these arguments of sshd', {
      code: 'bad-sshd-arguments',
      problems: read.problems,
    });
  }
  // What only the server needs, no command loads.
  const { runServer } = await import('./sshd.ts');
  // An open timer or socket must not keep a server alive that has ended or was refused.
  process.exit(await runServer(places, read.overrides));
};

/** Searched as execvp(3) does, but never in the working directory. */
const findOnPath = (word: string): string | null => {
  if (word.startsWith('-')) return null;
  if (word.includes('/')) return isProgram(word) ? word : null;
  return findProgram(word, searchFolders(process.env.PATH ?? ''));
};

/** Node ignores SIGPIPE and SIGXFSZ. This would outlive execve(2) and change how programs end, so env(1) sets them back. */
const replaceProcess = (file: string, args: readonly string[]): never => {
  if (!process.execve) throw failure('this Node.js cannot replace its process', { code: 'no-execve' });
  return process.execve('/usr/bin/env', ['env', '--default-signal=PIPE,XFSZ', file, ...args], process.env);
};
