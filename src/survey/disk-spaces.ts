import { lstatSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { compactionNeed, diskFloor, judgeSpace, type Space } from '../borg/disk-floor.ts';
import { readMounts } from '../system/mounts.ts';
import { isReadOnly } from '../system/read-only.ts';
import type { Surveyed } from './repository-survey.ts';

/** A file system with repositories, and what is kept free on it. */
export type DiskSpace = Space & {
  /** /repos, or the first repository that is on a mount of its own. */
  readonly path: string;
  /** With fewer free bytes, sessions accept no new data. */
  readonly floor: number;
  /** Bytes that the largest compaction there needs. */
  readonly need: number;
  readonly state: ReturnType<typeof judgeSpace>;
  /** It is read-only, as after an error. */
  readonly readOnly?: true;
};

/**
 * Every file system of the repositories, that of /repos first. A repository that cannot be looked at is left out.
 *
 * @param setting MIN_FREE
 * @throws the system's error where /repos cannot be looked at
 */
export const readDiskSpaces = (
  repos: string,
  setting: number | 'auto',
  surveyed: readonly Surveyed[],
): readonly DiskSpace[] => {
  const found = new Map([[lstatSync(repos).dev, { path: repos, need: 0 }]]);
  for (const { path, state } of surveyed) {
    if (state?.kind !== 'repository') continue;
    const place = join(repos, path);
    const device = lstatSync(place, { throwIfNoEntry: false })?.dev;
    if (device === undefined) continue;
    const disk = found.get(device) ?? { path: place, need: 0 };
    disk.need = Math.max(disk.need, compactionNeed(state));
    found.set(device, disk);
  }
  const mounts = readMounts();
  return [...found.values()].map(({ path, need }) => {
    const space = spaceOf(path);
    const floor = diskFloor(setting, space, need);
    const readOnly = isReadOnly(path, mounts) && ({ readOnly: true } as const);
    return { path, ...space, floor, need, state: judgeSpace(space, floor, need), ...readOnly };
  });
};

const spaceOf = (path: string): Space => {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(path);
  // Some file systems have inodes without end, and say 0.
  return { free: bavail * bsize, total: blocks * bsize, inodes: files > 0 ? ffree : null };
};
