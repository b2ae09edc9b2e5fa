import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { until } from '../e2e/harness/machine.ts';

/** How many segments the repositories of parts i and j have. With borg's own size, 500 MB, that is 50 GB, 1 TB and 10 TB. */
export const sizes = (full: boolean): readonly number[] => [100, 2000, ...(full ? [20_000] : [])];
/** A snapshot and an undo look at no byte of a segment. So its size does not matter to them. */
const SEGMENT = 4096;

/** borg may open a repository without encryption, wherever it has been before. */
export const QUIET = {
  ...{ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  BORG_SELFTEST: 'disabled',
} as const;

/** Real repositories of borg's, which may be copied. They have one archive, `all`. */
export type Pattern = {
  /** Copies it, with the owner and the modes of an account's. It is on the disk afterwards. @param path of a folder that is not there */
  readonly copyTo: (path: string, uid: number, gid: number) => Promise<void>;
  /** Runs borg as root. */
  readonly borg: (words: readonly string[]) => Promise<unknown>;
  readonly remove: () => void;
};

/** Makes one with as many segments, and a few more. It is made in memory: there borg need not wait for the disk after each segment. */
export const makePattern = async (segments: number): Promise<Pattern> => {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'segments-'));
  const [repository, file] = [join(folder, 'repository'), join(folder, 'file')];
  const env = { ...QUIET, BORG_BASE_DIR: join(folder, 'base') };
  const borg = (words: readonly string[]) => execa('borg', words, { env });
  await borg(['init', '-e', 'none', repository]);
  await borg(['config', repository, 'max_segment_size', String(SEGMENT)]);
  writeFileSync(file, randomBytes(segments * SEGMENT));
  await borg(['create', '-C', 'none', '--chunker-params', `fixed,${SEGMENT}`, `${repository}::all`, file]);
  rmSync(file);
  return {
    borg,
    copyTo: async (path, uid, gid) => {
      await execa('cp', ['-a', repository, path]);
      await execa('chown', ['-R', `${uid}:${gid}`, path]);
      await execa('find', [path, '-type', 'd', '-exec', 'chmod', '2770', '{}', '+']);
      await execa('find', [path, '-type', 'f', '-exec', 'chmod', '0660', '{}', '+']);
      await execa('sync', ['-f', path]);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
};

/**
 * For how long borg's lock is held meanwhile, in ms, the longest time if there are several: as another process sees it, so it includes a moment more.
 *
 * @param repository its folder. Where another one takes its place, the former one is watched
 * @throws Error if nobody takes the lock
 */
export const heldDuring = async (repository: string, action: () => Promise<unknown>): Promise<number> => {
  const held: number[] = [];
  let since: number | null = null;
  const watcher = watch(repository, (event, name) => {
    if (event !== 'rename' || name !== 'lock.exclusive') return;
    if (since !== null) held.push(performance.now() - since);
    since = since === null ? performance.now() : null;
  });
  try {
    await action();
    await until('the lock to be given back', () => held.length > 0 && since === null);
  } finally {
    watcher.close();
  }
  return Math.max(...held);
};
