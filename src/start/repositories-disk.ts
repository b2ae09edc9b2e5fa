import { readFileSync, statSync } from 'node:fs';
import type { Registry } from '../accounts/identity.ts';
import { type DiskVerdict, judgeDisk, mergeIdentities, type Witness } from '../accounts/repositories-witness.ts';
import { failure, failureInOneLine } from '../failure.ts';
import { EMPTY_REGISTRY, readRegistry, registryFile, writeRegistry } from '../host/registry.ts';
import {
  keepWitness,
  markDisk,
  newDiskMark,
  readDiskMark,
  readWitness,
  witnessFile,
  writeWitness,
} from '../host/witness.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { scanRepositories } from '../repositories/scan.ts';
import { firstOf } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { unusable } from './repositories-folder.ts';

/** How an operator confirms that the right disk is in /repos now. */
export const CONFIRM_DISK = '/repos';
/** What to do if the disk is not the one that was there. */
export const REMEDY =
  'mount it and start again; or, to go on with what is in /repos now: docker compose run --rm borgserver update-borgusers --confirm /repos (without Docker: npm start -- update-borgusers --confirm /repos)';
const MOST_NAMES = 5;

/** What the witness beside the key tree says of /repos. `witness` null: there is none, or it cannot be understood. */
export type Judged = { readonly verdict: DiskVerdict; readonly witness: Witness | null; readonly damaged: boolean };

/** Looks at /repos as it is, and makes nothing. @throws the system's error where that cannot be read */
export const judgeRepositoriesDisk = (places: Places): Judged => {
  const found = readWitness(places);
  const damaged = found === 'damaged';
  const witness = found === 'damaged' ? null : found;
  if (!statSync(places.repos, { throwIfNoEntry: false })?.isDirectory())
    return { verdict: { kind: 'known' }, witness, damaged };
  const disk = readDiskMark(places);
  // If nothing says what was there, nobody can say that everything is there. But a disk with this server's mark was used by it.
  if (damaged && disk === null)
    return { verdict: { kind: 'doubtful', other: false, expected: 0, missing: [] }, witness, damaged };
  const filled = scanRepositories(places.repos).flatMap(({ name, filled }) => (filled ? [name] : []));
  return { verdict: judgeDisk(witness, { disk, filled: new Set(filled) }), witness, damaged };
};

/**
 * Called before anything is made in /repos. On an empty or another disk the backups would go to the wrong place, and the accounts
 * would get other numbers.
 *
 * @throws Error with cause `{ code: 'missing-disk', path, found, remedy }`, or `{ code: 'unusable-repositories', … }` where it cannot be
 *   read; the system's error for what lies elsewhere
 */
export const checkRepositoriesDisk = (places: Places): void => {
  const { verdict, damaged } = judgeOrExplain(places);
  if (verdict.kind !== 'doubtful') return;
  throw failure('the repositories of this server are not there: is their disk not mounted, or another one?', {
    ...{ code: 'missing-disk', path: places.repos, found: damaged ? damagedText(places) : foundText(verdict) },
    remedy: REMEDY,
  });
};

const judgeOrExplain = (places: Places): Judged => {
  try {
    return judgeRepositoriesDisk(places);
  } catch (error) {
    const isThere = error instanceof Error && 'path' in error && String(error.path).startsWith(places.repos);
    throw isThere ? unusable(places, failureInOneLine(error)) : error;
  }
};

const damagedText = (places: Places): string =>
  `this folder was never used, and the record of what was here before is damaged (${witnessFile(places)})`;

/** For a person. The names are on record, and an admin has chosen some of them. */
export const foundText = ({ other, expected, missing }: Extract<DiskVerdict, { kind: 'doubtful' }>): string => {
  const what = other ? 'another disk than before: ' : '';
  if (missing.length === 0) return `${what}it has repositories of the same names`;
  const list = firstOf(
    missing.map((name) => printable(name, 60)),
    MOST_NAMES,
  );
  const were = expected === 1 ? 'repository that was' : 'repositories that were';
  return `${what}${missing.length} of ${expected} ${were} here ${missing.length === 1 ? 'is' : 'are'} missing: ${list}`;
};

/**
 * Puts the server's mark on the disk, and restores what the record there has lost from the witness beside the key tree. Call it while you
 * hold the lease, once the disk was found to be the right one.
 */
export const claimDisk = (places: Places, log: Pick<Logger, 'error' | 'warn'>): void => {
  const { verdict, witness, damaged } = judgeRepositoriesDisk(places);
  if (damaged)
    log.warn({ file: witnessFile(places) }, 'the second record of the repositories is damaged; it is written anew');
  const { registry } = readRegistry(places.state);
  if (witness && registry === EMPTY_REGISTRY && witness.registry.highWater > 0) {
    writeRegistry(places.state, witness.registry);
    log.error(
      { file: registryFile(places.state), from: witnessFile(places) },
      'the record of uids was gone from the repositories, and was put back from the second one',
    );
  }
  markDisk(places, verdict.kind === 'state-lost' && witness ? expectedMark(places, witness) : undefined);
};

/**
 * The next mark of a disk that has lost its own. It is a new one, which no other disk with the same data has. The witness must know it
 * first: whatever happens next, the following start finds the mark that it expects, or none.
 */
const expectedMark = (places: Places, { disk, registry }: Witness): string => {
  try {
    writeWitness(places, { disk: newDiskMark(), registry });
  } catch {
    // The code that writes the witness reports it. Then the mark has to be the former one, or the next start would be refused.
  }
  const now = readWitness(places);
  return now === null || now === 'damaged' ? disk : now.disk;
};

/**
 * The operator has confirmed that this is the right disk: the next start goes on with it. Names keep their numbers. Call it while you
 * hold the lease.
 *
 * @throws Error with cause `{ code: 'unwritable', file, … }` where that cannot be written down
 */
export const adoptDisk = (places: Places): void => {
  const { witness } = judgeRepositoriesDisk(places);
  const { registry } = readRegistry(places.state);
  const merged: Registry = witness ? mergeIdentities(registry, witness.registry) : registry;
  writeRegistry(places.state, merged);
  writeWitness(places, { disk: markDisk(places), registry: merged });
};

/** Makes the witness equal to the record. Never throws: the server works without it, and then only a missing disk is not noticed. */
export const openWitnessKeeper = (places: Places, log: Pick<Logger, 'warn'>): { readonly keep: () => void } => {
  let kept: string | null = null;
  let told = false;
  const keep = (): void => {
    try {
      const file = statSync(registryFile(places.state), { throwIfNoEntry: false });
      const version = file && `${file.ino} ${file.mtimeMs} ${file.size}`;
      if (version === undefined || version === kept) return;
      const disk = readDiskMark(places);
      if (disk === null) return;
      keepWitness(places, disk, readFileSync(registryFile(places.state), 'utf8'));
      [kept, told] = [version, false];
    } catch (error) {
      if (!told) log.warn({ file: witnessFile(places), error: failureInOneLine(error) }, UNWITNESSED);
      told = true;
    }
  };
  return { keep };
};

const UNWITNESSED =
  'a second record of the repositories cannot be kept: where the disk of /repos is missing at a start, the server will not notice';

/**
 * Says for a running server whether /repos is still the disk that it began with: if the disk has gone, accounts must not get new
 * numbers. It goes on by itself when the disk is back.
 *
 * @returns a check that throws Error with cause `{ code: 'disk-gone', path, remedy }`, or the system's error where /repos cannot be looked at
 */
export const createDiskGuard = (places: Places): (() => void) => {
  const identity = (): string => {
    const { dev, ino } = statSync(places.repos);
    return `${dev} ${ino}`;
  };
  let began: { readonly mark: string | null; readonly seen: string } | null = null;
  return () => {
    const now = identity();
    // Not before the first pass: a failure here must not keep that pass from taking away what is gone.
    began ??= { mark: readDiskMark(places), seen: now };
    if (now === began.seen) return;
    if (began.mark === null || readDiskMark(places) !== began.mark) {
      throw failure(
        'the disk of the repositories is gone, or another one is in its place; nothing is given until it is back',
        {
          code: 'disk-gone',
          path: places.repos,
          remedy: 'mount it again, or, if another disk is meant, stop the server and start it with that disk',
        },
      );
    }
    began = { ...began, seen: now };
  };
};
