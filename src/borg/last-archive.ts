import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { DELETE, isThere, type Objects, PUT, readSegment, type Segment } from './segment.ts';

/** What the segments say of the last archive. All times are milliseconds since the epoch. */
export type LastArchive = {
  /** When the last visible archive was finished. Null: none is visible. */
  readonly finished: number | null;
  /** A compaction has moved objects since then, perhaps those of a later archive. None of the moved objects is younger than this. Null: none has. */
  readonly moved: number | null;
  /** There was something that no client of borg writes, or too much to read: nothing is known. */
  readonly unknown: boolean;
  /** Root has written archives too, up to the committed segment with this number. They do not count. Left out: root has written none. */
  readonly foreign?: number | undefined;
};

/** What is remembered of a repository. So nothing is read twice, and a compaction does not take away what was known. */
export type RememberedArchive = LastArchive & {
  /** Everything that would change the answer if it changed. */
  readonly key: string;
  /** The times of the archive. Null where none was seen, or where the next write may still turn it into a checkpoint. */
  readonly segment: number | null;
};

/** Keeps what was found, by repository. */
export type ArchiveMemory = {
  readonly recall: (repository: string) => RememberedArchive | undefined;
  readonly note: (repository: string, found: RememberedArchive) => void;
};

export const NO_MEMORY: ArchiveMemory = { recall: () => undefined, note: () => {} };

/** Segments are looked at backwards from the newest one, at most so many. */
const MOST_SEGMENTS = 1024;
/** And so many bytes are read from all of them together: the writer chooses how many bytes each one takes. */
const MOST_BYTES = 16 << 20;
const UNKNOWN: LastArchive = { finished: null, moved: null, unknown: true };

/**
 * Finds the last archive without the key. A client writes, each into its own segments: objects, DELETE of the manifest, PUT of the
 * manifest, COMMIT. Only what makes an archive ends its objects with a PUT, that of the archive itself. A prune and a delete only
 * delete, a rename and a recreate delete last, a check with --repair writes only the manifest. A compaction has its COMMIT directly
 * after what it moved. The first entry of what its client writes next deletes a checkpoint, committed or not. The last entry deletes
 * the temporary archive of a recreate. Tried with borg 1.2.4.
 *
 * @param transaction the number of the last committed segment
 * @param id the repository's own id, from its config
 */
export const findLastArchive = (
  folder: FolderHandle,
  transaction: number,
  segmentsPerDir: number,
  id: string,
  memory: ArchiveMemory = NO_MEMORY,
): LastArchive => {
  const found = inFolder(join(folder.path, 'data'), (data) => {
    // Not the owner of `data`: that may be root's too.
    const owner = statSync(folder.path);
    const { dev, ino } = statSync(data.path);
    const repository = `${id} ${dev}:${ino}`;
    const placeOf = (segment: number): string =>
      join(data.path, String(Math.floor(segment / segmentsPerDir)), String(segment));
    const key = [
      `${transaction} ${segmentsPerDir} ${owner.uid}:${owner.gid}`,
      ...[placeOf(transaction), placeOf(transaction + 1), join(folder.path, `index.${transaction}`)].map(factsOf),
    ].join('; ');
    const before = memory.recall(repository);
    if (before?.key === key) {
      memory.note(repository, before);
      return before;
    }
    let left = MOST_BYTES;
    const spend = (bytes: number): boolean => {
      left -= bytes;
      return left >= 0;
    };
    const look = (segment: number): Segment | null => {
      const path = join(data.path, String(Math.floor(segment / segmentsPerDir)));
      const segments = inFolder(path, (part) => ({
        found: readSegment(join(part.path, String(segment)), spend, owner),
      }));
      return segments ? segments.found : isThere(path) ? { kind: 'odd' } : null;
    };
    const answer = { ...walkBack(look, transaction, before), key };
    memory.note(repository, answer);
    return answer;
  });
  if (!found) return UNKNOWN;
  const { finished, moved, unknown, foreign } = found;
  return { finished, moved, unknown, ...(foreign !== undefined && { foreign }) };
};

/** What changes with each write of a file, even if somebody sets its times. */
const factsOf = (path: string): string => {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  return facts ? `${facts.size} ${facts.mtimeMs} ${facts.ctimeMs} ${facts.ino}` : '-';
};

const walkBack = (
  look: (segment: number) => Segment | null,
  transaction: number,
  before: RememberedArchive | undefined,
): Omit<RememberedArchive, 'key'> => {
  const known = before && before.segment !== null && before.segment <= transaction ? before : null;
  let behind = look(transaction + 1);
  // What is written next, after the segment that is looked at.
  let next = behind?.kind === 'objects' ? behind : null;
  behind = null;
  let moved: number | null = null;
  let foreign: { readonly foreign?: number } = {};
  for (let segment = transaction; segment >= 0; segment -= 1) {
    // Up to there it was found before whose the archives are. Since then the files may have been handed over.
    if (before?.foreign !== undefined && segment <= before.foreign)
      return { ...before, moved: moved ?? before.moved, foreign: foreign.foreign ?? before.foreign };
    if (segment <= transaction - MOST_SEGMENTS) return { ...UNKNOWN, segment: null };
    const found = look(segment);
    if (found?.kind === 'odd') return { ...UNKNOWN, segment: null };
    if (found?.kind === 'objects') {
      if (behind?.kind === 'commit') moved ??= found.modified;
      else if (behind?.kind !== 'objects') {
        if (found.last === null) return { ...UNKNOWN, segment: null };
        if (endsArchive(found, next)) {
          if (!found.foreign)
            return { finished: found.modified, moved, unknown: false, segment: next ? segment : null, ...foreign };
          foreign = { foreign: transaction };
        }
      }
      next = found;
    }
    // It was there, and no later one can be seen: only a compaction takes it away.
    if (segment === known?.segment)
      return { finished: known.finished, moved: moved ?? known.moved, unknown: false, segment, ...foreign };
    behind = found;
  }
  return { finished: null, moved, unknown: false, segment: null, ...foreign };
};

const endsArchive = ({ last }: Objects, next: Objects | null): boolean => {
  if (last?.tag !== PUT) return false;
  if (next?.first.tag !== DELETE) return true;
  return next.first.id !== last.id && !(next.last?.tag === DELETE && next.last.id === last.id);
};
