import { ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { Readable, Writable } from 'node:stream';

/** A program that was started, or an attempt: then 'error' comes in a moment. */
export type Spawned = { readonly child: ChildProcess; readonly stdin: Writable; readonly stdout: Readable };

/**
 * `spawn` of Node, and every failure is an 'error' event of the child. Node tells some failures otherwise, and each would end the daemon:
 * with a full table of files (EMFILE, ENFILE) its child has no streams at all, which its types deny, and without memory (ENOMEM) it throws.
 *
 * And until that event, `kill` of a child that could not be started signals somebody else: Node 24 hands the kernel a pid that nobody has set,
 * and Node 20 the pid 0, the caller's own process group. Here it signals nobody.
 *
 * @returns streams in any case. They are at their end where the program has none.
 */
export const spawnSafely = (file: string, words: readonly string[], options: SpawnOptions): Spawned => {
  const child = begin(file, words, options);
  if (child.pid === undefined) child.kill = () => false;
  return { child, stdin: child.stdin ?? nowhere(), stdout: child.stdout ?? Readable.from([]) };
};

const begin = (file: string, words: readonly string[], options: SpawnOptions): ChildProcess => {
  try {
    return spawn(file, words, options);
  } catch (error) {
    const child = new ChildProcess();
    process.nextTick(() => child.emit('error', error));
    return child;
  }
};

/** Takes what nobody reads. */
const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });
