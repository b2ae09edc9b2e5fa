/** Bytes of the header of index.N. */
export const INDEX_HEADER_BYTES = 18;
/** Bytes of an entry that no file system can compress. */
const KEY_BYTES = 32;
/** A file system may keep a small file without a block of its own, or report its blocks some seconds later. */
const SMALL_OBJECTS = 10_000;

/**
 * Reads the number of objects in a repository from the header of its index.N: `BORG_IDX`, entries, buckets, key size, value size
 * as `<8siibb` (borg/_hashindex.c, HashHeader). The manifest is one of them, so a repository without archives has one.
 *
 * @param allocated bytes that the file takes on the disk. The writer of the header may put any number into it, and the space that is
 *   kept free for all depends on it
 * @returns null where it has another form, or names more objects than the file has room for
 */
export const readObjectCount = (bytes: Uint8Array, allocated: number): number | null => {
  if (bytes.byteLength < INDEX_HEADER_BYTES) return null;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, INDEX_HEADER_BYTES);
  if (header.toString('latin1', 0, 8) !== 'BORG_IDX' || header[16] !== 32 || header[17] !== 8) return null;
  const [objects, buckets] = [header.readInt32LE(8), header.readInt32LE(12)];
  if (objects > SMALL_OBJECTS && objects * KEY_BYTES > allocated) return null;
  return objects >= 0 && objects <= buckets ? objects : null;
};
