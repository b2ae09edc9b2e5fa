import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Client, ClientOptions } from './client.ts';
import { until } from './machine.ts';
import type { Finished, Running } from './program.ts';
import type { Server } from './server.ts';

export type HeldLock = {
  /** The client's borg. Its session lives as long as this borg. */
  readonly borg: Running;
  /** The lock's name, HOST_ID.PID-THREAD, and the PID of the session's borg inside the server. */
  readonly name: string;
  readonly pid: number;
  /** Ends the command under the lock, and resolves with how borg ended. */
  release(): Promise<Finished>;
};

/** Takes the exclusive lock of `/repos/REPOSITORY` with `borg with-lock`, and resolves once it is held. */
export const holdLock = async (
  server: Server,
  client: Client,
  repository: string,
  url: string,
  options: ClientOptions & { readonly words?: readonly string[] } = {},
): Promise<HeldLock> => {
  const flag = join(client.home, `held-${performance.now()}`);
  const { words = [], ...rest } = options;
  const borg = client.borg([...words, 'with-lock', url, 'sh', '-c', 'touch "$0"; exec cat', flag], {
    ...rest,
    input: 'pipe',
    reject: false,
  });
  const ended = borg.then((how) => Promise.reject(new Error(`the lock was not taken: ${how.stderr}`, { cause: how })));
  ended.catch(() => {});
  await Promise.race([
    ended,
    until('the lock to be held', () =>
      access(flag).then(
        () => true,
        () => false,
      ),
    ),
  ]);
  const [name = ''] = await readdir(join(server.repos, repository, 'lock.exclusive'));
  return {
    borg,
    name,
    pid: Number(/\.(\d+)-[0-9a-f]+$/.exec(name)?.[1]),
    release: () => {
      borg.stdin?.end();
      return borg;
    },
  };
};

/**
 * The names of the lock's files that nobody alive holds. The server takes the lock itself, for a moment, for the snapshot that follows a session:
 * it is not what a session has left, and is waited for.
 */
export const locksLeft = (server: Server, repository: string): Promise<readonly string[]> =>
  until('whoever lives to give the lock back', async (saw) => {
    const folder = join(server.repos, repository);
    const names = (await readdir(folder)).filter((name) => name.startsWith('lock.'));
    if (!names.includes('lock.exclusive')) return names;
    const [holder] = saw(await readdir(join(folder, 'lock.exclusive')).catch(() => []));
    const pid = /\.(\d+)-[0-9a-f]+$/.exec(holder ?? '')?.[1];
    // Given back just now.
    if (pid === undefined) return undefined;
    return (await server.look(['cat', `/proc/${pid}/cmdline`], { reject: false })).stdout === '' ? names : undefined;
  });

/** Resolves once a borg waits for the repository's lock. borg prepares its own lock beside the real one, and renames it when the real one is gone. */
export const waitingForLock = (server: Server, repository: string): Promise<true> =>
  until('somebody to wait for the lock', async (saw) => {
    const names = saw(await readdir(join(server.repos, repository)));
    if (!names.some((name) => /^lock\.exclusive\..+\.tmp$/.test(name))) return undefined;
    // A borg that does not have to wait prepares its lock, too, but only for a moment.
    await setTimeout(300);
    return (await readdir(join(server.repos, repository))).some((name) => /^lock\.exclusive\..+\.tmp$/.test(name))
      ? true
      : undefined;
  });
