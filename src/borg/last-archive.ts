import { join } from 'node:path';
import { openBounded, type ReadPart } from './bounded-file.ts';
import { type FolderHandle, inFolder } from './folder-handle.ts';

/** What the segments tell of the last archive, in milliseconds since the epoch. */
export type LastArchive = {
  /** When it came to its end; null: no segment says so any more. */
  readonly finished: number | null;
  /** When a compaction last moved what is there: no archive in it is younger. Null: none was seen. */
  readonly moved: number | null;
};

/** Segments are looked at backwards from the newest one, so many of them at most. */
const MOST_SEGMENTS = 1024;
/** And of all of them together so many bytes are read: whoever has written them chooses how many each takes. */
const MOST_BYTES = 16 << 20;

/**
 * Finds the last archive without the key. A client writes, each into segments of their own: objects, DELETE of the manifest, PUT of the
 * manifest, COMMIT. Only what makes an archive ends its objects with a PUT, that of the archive itself; a prune and a delete only
 * delete, a rename and a recreate delete last, a check with --repair writes the manifest alone. A compaction has its COMMIT
 * directly behind what it moved. A checkpoint is deleted by the first entry of what its client writes next, committed or not; the
 * temporary archive of a recreate by the last one. Tried with borg 1.2.4.
 *
 * @param transaction the number of the last committed segment
 */
export const findLastArchive = (folder: FolderHandle, transaction: number, segmentsPerDir: number): LastArchive =>
  inFolder(join(folder.path, 'data'), (data) => {
    let left = MOST_BYTES;
    const spend = (bytes: number): boolean => {
      left -= bytes;
      return left >= 0;
    };
    const look = (segment: number): Segment | null =>
      inFolder(join(data.path, String(Math.floor(segment / segmentsPerDir))), (part) =>
        readSegment(join(part.path, String(segment)), spend),
      );
    return walkBack(look, transaction);
  }) ?? { finished: null, moved: null };

const walkBack = (look: (segment: number) => Segment | null, transaction: number): LastArchive => {
  let behind = look(transaction + 1);
  // What is written next, after the segment that is looked at.
  let next = behind?.kind === 'objects' ? behind : null;
  behind = null;
  let moved: number | null = null;
  for (let segment = transaction; segment >= 0 && segment > transaction - MOST_SEGMENTS; segment -= 1) {
    const found = look(segment);
    if (found?.kind === 'objects') {
      if (behind?.kind === 'commit') moved = found.modified;
      else if (behind?.kind !== 'objects' && endsArchive(found, next)) return { finished: found.modified, moved };
      next = found;
    }
    behind = found;
  }
  return { finished: null, moved };
};

const endsArchive = ({ last }: Objects, next: Objects | null): boolean => {
  if (last?.tag !== PUT) return false;
  if (next?.first.tag !== DELETE) return true;
  return next.first.id !== last.id && !(next.last?.tag === DELETE && next.last.id === last.id);
};

type Entry = { readonly tag: number; readonly id: string };
type Objects = {
  readonly kind: 'objects';
  readonly first: Entry;
  /** Null: cannot be told. */
  readonly last: Entry | null;
  readonly modified: number;
};
type Segment = { readonly kind: 'commit' } | { readonly kind: 'manifest' } | Objects;

/** Of borg/repository.py, LoggedIO: a magic word, and entries of crc32, size of the whole entry, tag, and an id of 32 bytes. */
const MAGIC = 'BORG_SEG';
const HEADER = 9;
const ID = 32;
const [PUT, DELETE, COMMIT] = [0, 1, 2];
const MANIFEST = '0'.repeat(2 * ID);
/** The archive's own object names its parts: some hundred bytes, more for millions of files. */
const TAILS = [1 << 12, 1 << 20];

/** @param spend whether so many bytes more may be read */
const readSegment = (path: string, spend: (bytes: number) => boolean): Segment | null =>
  openBounded(path, (read, { size, modified }) => {
    if (!spend(MAGIC.length + HEADER + ID)) return null;
    const head = read(0, MAGIC.length + HEADER + ID);
    if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
    const first = entryAt(head, MAGIC.length);
    if (first === null) return null;
    if (first.tag === COMMIT) return { kind: 'commit' };
    if (first.id === MANIFEST) return { kind: 'manifest' };
    return { kind: 'objects', first, last: lastEntry(read, size, spend), modified };
  });

/** No entry says where it begins. The last one is where a size leads just to the end of the file. */
const lastEntry = (read: ReadPart, size: number, spend: (bytes: number) => boolean): Entry | null => {
  for (const tail of TAILS) {
    if (!spend(tail)) return null;
    const start = Math.max(MAGIC.length, size - tail);
    const bytes = read(start, Math.min(tail, size - start));
    for (let at = bytes.length - HEADER - ID; at >= 0; at -= 1) {
      if (bytes.readUInt32LE(at + 4) !== bytes.length - at) continue;
      const entry = entryAt(bytes, at);
      if (entry && entry.tag !== COMMIT) return entry;
    }
    if (start === MAGIC.length) return null;
  }
  return null;
};

const entryAt = (bytes: Buffer, at: number): Entry | null => {
  const tag = bytes[at + HEADER - 1];
  if (tag === COMMIT) return { tag, id: '' };
  if ((tag !== PUT && tag !== DELETE) || bytes.length < at + HEADER + ID) return null;
  return { tag, id: bytes.toString('hex', at + HEADER, at + HEADER + ID) };
};
