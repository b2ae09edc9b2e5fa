/** What hints.N says without the repository's key. */
export type Hints = {
  /** Bytes of the repository as borg's quota counts them. */
  readonly storageUse: number;
  /** A few segments that hold at least one object. */
  readonly segments: readonly number[];
};

/**
 * The most bytes of hints.N that have to be read. What counts comes after two maps with an entry of at most 14 bytes for each
 * segment (of some 500 MB), and before the shadow index, which may have any size.
 */
export const MAX_HINTS_BYTES = 1 << 20;
/** Enough for a repository of a terabyte. */
export const USUAL_HINTS_BYTES = 1 << 16;
const SEGMENTS = 4;

/**
 * Reads the beginning of hints.N: a map in msgpack with `version` 2, `segments` {segment: objects}, `compact` {segment: bytes},
 * `storage_quota_use` and `shadow_index`, in this order (borg/repository.py, write_index; msgpack's spec.md). It is a reader of
 * our own. Other readers want the whole file, and the client can make that as large and as deep as it likes.
 *
 * @returns null where it has another form, or `storage_quota_use` is not within these bytes
 */
export const readHints = (bytes: Uint8Array): Hints | null => {
  const cursor = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0 };
  try {
    return readMap(cursor);
  } catch (error) {
    // Cut off in the middle, or of another form: both end here, and neither tells anything.
    if (error instanceof RangeError) return null;
    throw error;
  }
};

type Cursor = { readonly view: DataView; at: number };

const readMap = (cursor: Cursor): Hints | null => {
  const entries = readMapHead(cursor);
  let segments: readonly number[] = [];
  for (let entry = 0; entry < entries; entry += 1) {
    const name = readName(cursor);
    if (name === 'version') {
      if (readInteger(cursor) !== 2) return null;
    } else if (name === 'segments') segments = readSegments(cursor);
    else if (name === 'compact') readNumbers(cursor, () => {});
    else if (name === 'storage_quota_use') {
      const storageUse = readInteger(cursor);
      return Number.isSafeInteger(storageUse) && storageUse >= 0 ? { storageUse, segments } : null;
    } else return null;
  }
  return null;
};

/** The first and the last segments: a compaction leaves either these or those alone. */
const readSegments = (cursor: Cursor): readonly number[] => {
  const first: number[] = [];
  const last: number[] = [];
  readNumbers(cursor, (segment, objects) => {
    if (objects <= 0 || !Number.isSafeInteger(segment) || segment < 0) return;
    if (first.length < SEGMENTS / 2) first.push(segment);
    else {
      last.push(segment);
      if (last.length > SEGMENTS / 2) last.shift();
    }
  });
  return [...last.reverse(), ...first];
};

const readNumbers = (cursor: Cursor, take: (key: number, value: number) => void): void => {
  const entries = readMapHead(cursor);
  for (let entry = 0; entry < entries; entry += 1) {
    const key = readInteger(cursor);
    take(key, readInteger(cursor));
  }
};

const next = (cursor: Cursor): number => cursor.view.getUint8(cursor.at++);

const wrong = (): RangeError => new RangeError('not of the form of hints');

const readMapHead = (cursor: Cursor): number => {
  const head = next(cursor);
  if (head >= 0x80 && head <= 0x8f) return head & 0x0f;
  if (head === 0xde) return take(cursor, 2, (view, at) => view.getUint16(at));
  if (head === 0xdf) return take(cursor, 4, (view, at) => view.getUint32(at));
  throw wrong();
};

/** borg 1.x writes them as str of the old format, which is raw bytes. bin is read too. */
const readName = (cursor: Cursor): string => {
  const head = next(cursor);
  const length = head >= 0xa0 && head <= 0xbf ? head & 0x1f : head === 0xd9 || head === 0xc4 ? next(cursor) : -1;
  if (length < 0) throw wrong();
  let name = '';
  for (let index = 0; index < length; index += 1) name += String.fromCharCode(next(cursor));
  return name;
};

const readInteger = (cursor: Cursor): number => {
  const head = next(cursor);
  if (head <= 0x7f) return head;
  if (head >= 0xe0) return head - 0x100;
  switch (head) {
    case 0xcc:
      return next(cursor);
    case 0xcd:
      return take(cursor, 2, (view, at) => view.getUint16(at));
    case 0xce:
      return take(cursor, 4, (view, at) => view.getUint32(at));
    case 0xcf:
      return take(cursor, 8, (view, at) => Number(view.getBigUint64(at)));
    case 0xd0:
      return take(cursor, 1, (view, at) => view.getInt8(at));
    case 0xd1:
      return take(cursor, 2, (view, at) => view.getInt16(at));
    case 0xd2:
      return take(cursor, 4, (view, at) => view.getInt32(at));
    case 0xd3:
      return take(cursor, 8, (view, at) => Number(view.getBigInt64(at)));
    default:
      throw wrong();
  }
};

const take = (cursor: Cursor, size: number, read: (view: DataView, at: number) => number): number => {
  const value = read(cursor.view, cursor.at);
  cursor.at += size;
  return value;
};
