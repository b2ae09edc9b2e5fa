/**
 * Whether these bytes are one whole map of msgpack and nothing else, as in borg's integrity.N (msgpack's spec.md). A type that it does
 * not know, an extension for example, counts as whole: it only finds what is cut off or empty.
 */
export const isWholeMap = (bytes: Uint8Array): boolean => {
  const first = bytes[0];
  if (first === undefined || !((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const end = skip(view, 0, 16);
    return end === null || end === bytes.byteLength;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
};

/** @returns where the value ends; null where its type is not known. @throws RangeError where it is cut off */
const skip = (view: DataView, at: number, deeper: number): number | null => {
  const type = view.getUint8(at);
  if (deeper === 0) return null;
  if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return at + 1;
  if (type < 0x90) return skipAll(view, at + 1, 2 * (type & 0x0f), deeper);
  if (type < 0xa0) return skipAll(view, at + 1, type & 0x0f, deeper);
  if (type < 0xc0) return within(view, at + 1 + (type & 0x1f));
  switch (type) {
    case 0xc4:
    case 0xd9:
      return within(view, at + 2 + view.getUint8(at + 1));
    case 0xc5:
    case 0xda:
      return within(view, at + 3 + view.getUint16(at + 1));
    case 0xcc:
    case 0xd0:
      return within(view, at + 2);
    case 0xcd:
    case 0xd1:
      return within(view, at + 3);
    case 0xca:
    case 0xce:
    case 0xd2:
      return within(view, at + 5);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return within(view, at + 9);
    case 0xde:
      return skipAll(view, at + 3, 2 * view.getUint16(at + 1), deeper);
    case 0xdc:
      return skipAll(view, at + 3, view.getUint16(at + 1), deeper);
    default:
      return null;
  }
};

const skipAll = (view: DataView, from: number, count: number, deeper: number): number | null => {
  let at: number | null = from;
  for (let left = count; left > 0 && at !== null; left -= 1) at = skip(view, at, deeper - 1);
  return at;
};

const within = (view: DataView, end: number): number => {
  if (end > view.byteLength) throw new RangeError('cut off');
  return end;
};
