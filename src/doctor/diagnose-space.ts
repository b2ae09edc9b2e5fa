import { statfsSync } from 'node:fs';
import { failureInOneLine } from '../failure.ts';
import { READ_ONLY_CURE } from '../start/read-only-disk.ts';
import { type DiskSpace, readDiskSpaces } from '../survey/disk-spaces.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { printable } from '../text/printable.ts';
import { gigabytes } from '../text/size.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/** Of inodes. */
const LITTLE = 0.05;
/** With less, borg can take no lock, so it cannot even list. */
const NOTHING = 1_000_000;
const CURE = 'delete and compact (borgserver maintenance NAME -- …), grow the disk, or move a repository away';
const FULL_CURE =
  'it is full, and borg cannot even delete: remove something else there or grow the disk, by some MB, then delete and compact';

const INODES_CURE = 'move other data away: borg needs few';

/** Each file system of the repositories: a line for its space, and one for its inodes where there are few. Never throws. */
export const diagnoseSpace = (
  repos: string,
  minFree: number | 'auto',
  surveyed: readonly Surveyed[],
): readonly Diagnosis[] => {
  try {
    return readDiskSpaces(repos, minFree, surveyed).flatMap((disk) => [
      lineOf(disk),
      ...readOnlyLine(disk),
      ...inodesOf(disk.path),
    ]);
  } catch (failure) {
    return [error('space', `cannot be read: ${printable(failureInOneLine(failure))}`, 'see that /repos is mounted')];
  }
};

/** What there is to say of one file system. */
export const lineOf = ({ path, free, total, floor, need, state }: DiskSpace): Diagnosis => {
  const shown = `${gigabytes(free)} GB free of ${gigabytes(total)} GB at ${printable(path)}`;
  const kept = `${gigabytes(floor)} GB (MIN_FREE)`;
  switch (state) {
    case 'below':
      return error('space', `${shown}: less than ${kept}, so new data are refused`, free < NOTHING ? FULL_CURE : CURE);
    case 'short':
      return error(
        'space',
        `${shown}: less than the ${gigabytes(need)} GB that compact needs`,
        `${CURE}; raise MIN_FREE`,
      );
    case 'no-inodes':
      return error('space', `${shown}, but no more files can be made: nobody gets a lock`, INODES_CURE);
    case 'near':
      return warning('space', `${shown}: below ${kept} new data are refused`, CURE);
    case 'enough':
      return ok('space', shown);
  }
};

const readOnlyLine = ({ path, readOnly }: DiskSpace): readonly Diagnosis[] =>
  readOnly
    ? [
        error(
          'disk',
          `${printable(path)} is read-only, as after a disk error: no backup can be made there`,
          READ_ONLY_CURE,
        ),
      ]
    : [];

const inodesOf = (path: string): readonly Diagnosis[] => {
  // Some file systems have inodes without end, and say 0.
  const { files, ffree } = statfsSync(path);
  return files > 0 && ffree < LITTLE * files
    ? [warning('inodes', `${ffree} of ${files} inodes free at ${printable(path)}`, INODES_CURE)]
    : [];
};
