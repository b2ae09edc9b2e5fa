import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/write.ts';
import { errorCode } from '../system/errno.ts';
import { flush } from '../system/open.ts';

/** A snapshot that is whole. */
export type Snapshot = {
  /** One more than that of the one before it, of the same repository. */
  readonly number: number;
  /** When it was taken: ms since the epoch, in whole seconds. */
  readonly at: number;
  /** Its folder: `repository` in it has what image/snapshots/take.py made, and about.json what was said of it. */
  readonly path: string;
};

/** A snapshot that is being taken. */
export type Unfinished = {
  /** Empty, and root's. */
  readonly into: string;
  /** Makes it one of the repository's snapshots, in one step. `about`: a value for about.json. */
  readonly finish: (about: unknown) => Snapshot;
  readonly drop: () => Promise<void>;
};

/** NUMBER@TIME, so that a person who looks into the folder can tell them apart. */
const NAME = /^([1-9]\d{0,8})@(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/;
/** No snapshot yet, or none any more. */
const UNFINISHED = /^\.(making|removing)-/;
/** A file system's own limit, in bytes. */
const LONGEST_NAME = 255;

/**
 * Where the snapshots of a repository are.
 *
 * @param repository its path below /repos: `web01`, `web01/db/main`
 * @returns null where its path is too long for the name of a folder
 */
export const snapshotsOf = (state: string, repository: string): string | null => {
  const [account = '', ...nested] = repository.split('/');
  const all = join(state, 'snapshots', account);
  if (nested.length === 0) return all;
  // A `+` is in no snapshot's name, and what follows has no slash.
  const name = `+${encodeURIComponent(nested.join('/'))}`;
  return Buffer.byteLength(name) > LONGEST_NAME ? null : join(all, name);
};

/**
 * Every folder that has snapshots, or had some, with the path of its repository below /repos.
 *
 * @throws the system's error
 */
export const foldersOfSnapshots = (
  state: string,
): readonly { readonly repository: string; readonly folder: string }[] => {
  const all = join(state, 'snapshots');
  return namesIn(all).flatMap((account) => {
    const nested = namesIn(join(all, account)).filter((name) => name.startsWith('+'));
    return [
      { repository: account, folder: join(all, account) },
      ...nested.map((name) => ({
        repository: `${account}/${decodeURIComponent(name.slice(1))}`,
        folder: join(all, account, name),
      })),
    ];
  });
};

/**
 * The snapshots in a folder of snapshotsOf, the oldest first. A folder that is not there has none.
 *
 * @throws the system's error where it cannot be read
 */
export const listSnapshots = (folder: string): readonly Snapshot[] =>
  namesIn(folder)
    .flatMap((name) => {
      const [, number, time = ''] = NAME.exec(name) ?? [];
      return number === undefined ? [] : [{ number: Number(number), at: Date.parse(time), path: join(folder, name) }];
    })
    .toSorted((one, other) => one.number - other.number);

/**
 * Prepares the next snapshot.
 *
 * @param now ms since the epoch
 * @throws the system's error
 */
export const beginSnapshot = (folder: string, now: number): Unfinished => {
  const number = (listSnapshots(folder).at(-1)?.number ?? 0) + 1;
  const at = Math.floor(now / 1000) * 1000;
  const name = `${number}@${new Date(at).toISOString().replace('.000', '')}`;
  const [making, path] = [join(folder, `.making-${name}`), join(folder, name)];
  const into = join(making, 'repository');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Not recursive: what is left of an earlier try must not be taken for an empty folder.
  for (const each of [making, into]) mkdirSync(each, { mode: 0o700 });
  return {
    into,
    finish: (about) => {
      writeFileAtomically(join(making, 'about.json'), `${JSON.stringify(about)}\n`, { mode: 0o600, durable: true });
      renameSync(making, path);
      flush(folder);
      return { number, at, path };
    },
    drop: () => rm(making, { recursive: true, force: true }),
  };
};

/**
 * Removes a snapshot. From the first step on it is none any more, so that nobody reads half of it.
 *
 * @throws the system's error
 */
export const removeSnapshot = async (folder: string, { path }: Pick<Snapshot, 'path'>): Promise<void> => {
  const removing = join(folder, `.removing-${path.slice(folder.length + 1)}`);
  renameSync(path, removing);
  // A power cut must not leave half of it under its name.
  flush(folder);
  await rm(removing, { recursive: true, force: true });
};

/**
 * Removes what was begun when the server ended, of one repository. Call it while you hold the lease.
 *
 * @throws the system's error
 */
export const clearUnfinished = async (folder: string): Promise<void> => {
  for (const name of namesIn(folder).filter((each) => UNFINISHED.test(each)))
    await rm(join(folder, name), { recursive: true, force: true });
};

/** The names in a folder of the server's own; none where it is not there. */
export const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
};
