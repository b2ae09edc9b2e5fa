/**
 * Messages of borg's protocol (msgpack, borg/remote.py), as a client other than borg's own may send them. borg's own client tidies up paths
 * before it sends them, and asks only for what makes sense.
 */

export type Value =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

/** A method of borg's, and what it is called with. */
export type Call = readonly [method: string, args: Value];

/** One stream of requests, to be sent to a session's standard input: the greeting, then each call. */
export const requests = (...calls: readonly Call[]): Uint8Array =>
  Buffer.concat([GREETING, ...calls].map((call, index) => request(index + 1, call)));

export const GREETING = ['negotiate', { client_data: { client_version: [1, 2, 4] } }] as const;

/** One request. borg's answer has its number. */
export const request = (number: number, [method, args]: readonly [method: string, args: Value]): Buffer =>
  encode({ i: number, m: method, a: args });

/** The call by which a client opens a repository on the server. */
export const open = (path: string, more: { readonly [name: string]: Value } = {}): readonly [string, Value] => [
  'open',
  {
    path,
    create: false,
    lock_wait: 1,
    lock: true,
    exclusive: false,
    append_only: false,
    make_parent_dirs: false,
    ...more,
  },
];

/** msgpack: https://github.com/msgpack/msgpack/blob/master/spec.md */
const encode = (value: Value): Buffer => {
  if (value === null) return Buffer.of(0xc0);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number' && !Number.isInteger(value)) {
    const float = Buffer.of(0xcb, 0, 0, 0, 0, 0, 0, 0, 0);
    float.writeDoubleBE(value, 1);
    return float;
  }
  if (typeof value === 'number') return head(0xce, value);
  // borg's protocol knows no other kind of bytes than strings.
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes instanceof Uint8Array) return Buffer.concat([head(0xdb, bytes.length), bytes]);
  if (Array.isArray(value)) return Buffer.concat([head(0xdd, value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([
    head(0xdf, entries.length),
    ...entries.flatMap(([name, inner]) => [encode(name), encode(inner)]),
  ]);
};

/** Always in the form with 32 bits: none is too large for it. Throws RangeError for a negative number. */
const head = (type: number, number: number): Buffer => {
  const bytes = Buffer.of(type, 0, 0, 0, 0);
  bytes.writeUInt32BE(number, 1);
  return bytes;
};
