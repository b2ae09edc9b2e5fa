/**
 * Words of borg's protocol (msgpack, borg/remote.py) as somebody may send them who did not take borg's own client: it
 * tidies up paths before they leave, and asks only for what makes sense.
 */

export type Value = null | boolean | number | string | readonly Value[] | { readonly [name: string]: Value };

/** One stream of requests, to be sent to a session's standard input: the greeting, then each call. */
export const requests = (...calls: readonly (readonly [method: string, args: Value])[]): Uint8Array =>
  Buffer.concat(
    [['negotiate', { client_data: { client_version: [1, 2, 4] } }] as const, ...calls].map(([method, args], index) =>
      encode({ i: index + 1, m: method, a: args }),
    ),
  );

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

/** msgpack of small values: https://github.com/msgpack/msgpack/blob/master/spec.md */
const encode = (value: Value): Buffer => {
  if (value === null) return Buffer.of(0xc0);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2);
  if (typeof value === 'number') return Buffer.of(value & 0x7f);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.of(0xd9, bytes.length), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([Buffer.of(0x90 | value.length), ...value.map(encode)]);
  const entries = Object.entries(value);
  return Buffer.concat([
    Buffer.of(0x80 | entries.length),
    ...entries.flatMap(([name, inner]) => [encode(name), encode(inner)]),
  ]);
};
