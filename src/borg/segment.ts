import { lstatSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { isKept } from '../accounts/kept-file.ts';
import { openBounded, type ReadPart } from '../system/plain-file.ts';

type Entry = { readonly tag: number; readonly id: string };
export type Objects = {
  readonly kind: 'objects';
  readonly first: Entry;
  /** Null: not known. */
  readonly last: Entry | null;
  readonly modified: number;
  /** Root has written it: it is nobody's backup. */
  readonly foreign: boolean;
};
/** The first and the last entry of a segment. 'odd': no client of borg's has written it like this, or there is too much to read. */
export type Segment = { readonly kind: 'commit' } | { readonly kind: 'manifest' } | { readonly kind: 'odd' } | Objects;

/** From borg/repository.py, LoggedIO: a magic word, and entries of crc32, size of the whole entry, tag, and an id of 32 bytes. */
const MAGIC = 'BORG_SEG';
const HEADER = 9;
const ID = 32;
export const [PUT, DELETE, COMMIT] = [0, 1, 2];
const MANIFEST = '0'.repeat(2 * ID);
/** The object of the archive names its parts: some hundred bytes, more for millions of files. */
const TAILS = [1 << 12, 1 << 20];

/**
 * Reads the first and the last entry, whatever is between.
 *
 * @param spend whether so many bytes more may be read
 * @param owner whose it has to be, by user or by group: an admin writes into a tenant's repository, and only a hard link gives a
 *   file both owner and group of somebody else
 * @returns null where there is nothing of this name
 */
export const readSegment = (
  path: string,
  spend: (bytes: number) => boolean,
  owner: { readonly uid: number; readonly gid: number },
): Segment | null => {
  const found = openBounded(path, (read, { size, modified, uid, gid, mode }): Segment => {
    // Of what snapshots share nobody knows any more who has written it. A borg of root's leaves more traces (foreign-trace.ts).
    const foreign = uid === 0 && owner.uid !== 0 && !isKept({ uid, mode });
    if (!foreign && uid !== owner.uid && gid !== owner.gid) return { kind: 'odd' };
    if (!spend(MAGIC.length + HEADER + ID)) return { kind: 'odd' };
    const head = read(0, MAGIC.length + HEADER + ID);
    if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) return { kind: 'odd' };
    const first = entryAt(head, MAGIC.length);
    if (first === null || size < MAGIC.length + head.readUInt32LE(MAGIC.length + 4)) return { kind: 'odd' };
    if (first.tag === COMMIT) return { kind: 'commit' };
    if (first.id === MANIFEST) return { kind: 'manifest' };
    return { kind: 'objects', first, last: lastEntry(read, size, spend), modified, foreign };
  });
  return found ?? (isThere(path) ? { kind: 'odd' } : null);
};

/** A link, a pipe, a folder: anything. */
export const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** No entry says where the last one begins. It is there where a size leads exactly to the end of the file. */
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

/** Null where no whole entry begins there, as far as these bytes show. An entry that fits in must have the right checksum. */
const entryAt = (bytes: Buffer, at: number): Entry | null => {
  if (at + HEADER > bytes.length) return null;
  const [size, tag] = [bytes.readUInt32LE(at + 4), bytes[at + HEADER - 1]];
  if (size <= bytes.length - at && crc32(bytes.subarray(at + 4, at + size)) !== bytes.readUInt32LE(at)) return null;
  if (tag === COMMIT) return size === HEADER ? { tag, id: '' } : null;
  if (tag !== PUT && tag !== DELETE) return null;
  const isWhole = tag === PUT ? size >= HEADER + ID : size === HEADER + ID;
  if (!isWhole || bytes.length < at + HEADER + ID) return null;
  return { tag, id: bytes.toString('hex', at + HEADER, at + HEADER + ID) };
};
