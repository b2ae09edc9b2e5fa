import {
  chownSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** The index.N or hints.N that borg has written last. Removes integrity.N, which has their checksums. */
const current = (repository: string, kind: 'index' | 'hints'): string => {
  const names = readdirSync(repository);
  for (const name of names.filter((each) => each.startsWith('integrity.'))) rmSync(join(repository, name));
  return join(repository, names.find((each) => each.startsWith(`${kind}.`)) ?? '');
};

/** borg/_hashindex.c: the header has magic, entries, buckets, sizes of key and value. A bucket is empty if its value begins with ff ff ff ff. */
const BUCKET = 40;
const HEADER = 18;

/** Makes the repository's index as large in bytes as after millions of objects. The index is empty, so nobody can read the objects any more. */
export const indexWithRoom = (repository: string, bytes: number): void => {
  const path = current(repository, 'index');
  const owner = statSync(path);
  const buckets = Math.floor(bytes / BUCKET);
  const header = readFileSync(path).subarray(0, HEADER);
  header.writeInt32LE(0, 8);
  header.writeInt32LE(buckets, 12);
  const fd = openSync(`${path}.tmp`, 'w');
  writeSync(fd, header);
  const piece = Buffer.alloc(BUCKET * 25_000, 0xff);
  for (let left = buckets * BUCKET; left > 0; left -= piece.length)
    writeSync(fd, piece, 0, Math.min(left, piece.length));
  closeSync(fd);
  renameSync(`${path}.tmp`, path);
  chownSync(path, owner.uid, owner.gid);
};

/**
 * Makes the repository remember so many deleted objects (borg/repository.py, write_index: msgpack, shadow_index).
 *
 * @returns the file
 */
export const hintsWithDeletions = (repository: string, count: number): string => {
  const path = current(repository, 'hints');
  const owner = statSync(path);
  const text = (word: string) => Buffer.concat([Buffer.of(0xa0 | word.length), Buffer.from(word)]);
  const head = [
    ...[
      Buffer.of(0x85),
      text('version'),
      Buffer.of(2),
      text('segments'),
      Buffer.of(0x80),
      text('compact'),
      Buffer.of(0x80),
    ],
    ...[text('storage_quota_use'), Buffer.of(0), text('shadow_index'), Buffer.of(0xdf, 0, 0, 0, 0)],
  ];
  head.at(-1)?.writeUInt32BE(count, 1);
  // An id of 32 bytes, and a list of one segment.
  const entries = Buffer.alloc(count * 36, Buffer.concat([Buffer.of(0xd9, 32), Buffer.alloc(32), Buffer.of(0x91, 0)]));
  for (let entry = 0; entry < count; entry += 1) entries.writeUInt32BE(entry, entry * 36 + 2);
  writeFileSync(`${path}.tmp`, Buffer.concat([...head, entries]));
  renameSync(`${path}.tmp`, path);
  chownSync(path, owner.uid, owner.gid);
  return path;
};
