/** Bytes of the header of index.N. */
export const INDEX_HEADER_BYTES = 18;

/**
 * Reads how many objects a repository has from the header of its index.N: `BORG_IDX`, entries, buckets, key size, value
 * size as `<8siibb` (borg/_hashindex.c, HashHeader). The manifest is one of them, so a repository without archives has one.
 *
 * @returns null where it is of another form
 */
export const readObjectCount = (bytes: Uint8Array): number | null => {
  if (bytes.byteLength < INDEX_HEADER_BYTES) return null;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, INDEX_HEADER_BYTES);
  if (header.toString('latin1', 0, 8) !== 'BORG_IDX' || header[16] !== 32 || header[17] !== 8) return null;
  const [objects, buckets] = [header.readInt32LE(8), header.readInt32LE(12)];
  return objects >= 0 && objects <= buckets ? objects : null;
};
