import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { connect, type Socket } from 'node:net';

/**
 * The part of SSH that a stranger needs without OpenSSH's client, which refuses names that are not real: RFC 4253 with
 * curve25519-sha256 (RFC 8731) and aes128-gcm@openssh.com (RFC 5647), RFC 4252 up to the first answer. It does not look at the server's key.
 */

const VERSION = 'SSH-2.0-stranger';
const ALGORITHMS = [
  'curve25519-sha256',
  'ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256',
  ...Array(2).fill('aes128-gcm@openssh.com'),
  ...Array(2).fill('hmac-sha2-256'),
  ...Array(2).fill('none'),
  ...Array(2).fill(''),
];
const [SERVICE_REQUEST, SERVICE_ACCEPT, KEXINIT, NEWKEYS, ECDH_INIT, ECDH_REPLY] = [5, 6, 20, 21, 30, 31];
export const [USERAUTH_REQUEST, USERAUTH_FAILURE] = [50, 51] as const;
/** The bytes before the 32 bytes of an X25519 key (RFC 8410). */
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export const text = (value: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([number(bytes.length), bytes]);
};
const mpint = (value: Buffer): Buffer => {
  const bytes = value.subarray(
    Math.max(
      0,
      value.findIndex((byte) => byte !== 0),
    ),
  );
  return text(Buffer.concat([(bytes[0] ?? 0) >= 128 ? Buffer.of(0) : Buffer.of(), bytes]));
};
const strings = (packet: Buffer): readonly Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 1; at < packet.length; ) {
    const end = at + 4 + packet.readUInt32BE(at);
    found.push(packet.subarray(at + 4, end));
    at = end;
  }
  return found;
};
const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

/** One direction of the connection. */
type Cipher = { readonly key: Buffer; readonly iv: Buffer };

const next = ({ iv }: Cipher): Buffer => {
  const now = Buffer.from(iv);
  iv.writeBigUInt64BE(iv.readBigUInt64BE(4) + 1n, 4);
  return now;
};

const seal = (payload: Buffer, cipher: Cipher | null): Buffer => {
  const block = cipher ? 16 : 8;
  const inner = payload.length + (cipher ? 1 : 5);
  const padding = 4 + ((block - ((inner + 4) % block)) % block);
  const length = number(payload.length + 1 + padding);
  const body = Buffer.concat([Buffer.of(padding), payload, randomBytes(padding)]);
  if (!cipher) return Buffer.concat([length, body]);
  const gcm = createCipheriv('aes-128-gcm', cipher.key, next(cipher)).setAAD(length);
  return Buffer.concat([length, gcm.update(body), gcm.final(), gcm.getAuthTag()]);
};

const unseal = (body: Buffer, length: Buffer, cipher: Cipher | null): Buffer => {
  if (!cipher) return body.subarray(1, body.length - (body[0] ?? 0));
  const gcm = createDecipheriv('aes-128-gcm', cipher.key, next(cipher)).setAAD(length).setAuthTag(body.subarray(-16));
  const plain = Buffer.concat([gcm.update(body.subarray(0, -16)), gcm.final()]);
  return plain.subarray(1, plain.length - (plain[0] ?? 0));
};

/** Reads a number of bytes, or up to a newline. */
const reader = (socket: Socket) => {
  let pending = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    const over = Promise.withResolvers<Buffer>();
    const heard = () => {
      const bytes = socket.read();
      if (bytes) over.resolve(bytes);
      else hungUp();
    };
    const hungUp = () => over.reject(new Error('sshd has hung up'));
    socket.once('readable', heard).once('error', over.reject).once('close', hungUp);
    if (socket.destroyed) hungUp();
    const chunk = await over.promise.finally(() => {
      socket.off('readable', heard).off('error', over.reject).off('close', hungUp);
    });
    pending = Buffer.concat([pending, chunk]);
  };
  const take = (count: number): Buffer => {
    const bytes = pending.subarray(0, count);
    pending = pending.subarray(count);
    return bytes;
  };
  return {
    line: async (): Promise<string> => {
      while (!pending.includes(10)) await more();
      return take(pending.indexOf(10) + 1)
        .toString()
        .trim();
    },
    bytes: async (count: number): Promise<Buffer> => {
      while (pending.length < count) await more();
      return take(count);
    },
  };
};

export type Offer = { readonly user: string; readonly algorithm: string };

/**
 * Asks sshd to let in each user by a key of each algorithm, whatever their names are, and resolves when sshd has said no to all.
 *
 * @throws Error where sshd hangs up before that
 */
export const askToBeLetIn = async (port: number, offers: readonly Offer[]): Promise<void> => {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await converse(socket, offers);
  } finally {
    socket.destroy();
  }
};

const converse = async (socket: Socket, offers: readonly Offer[]): Promise<void> => {
  const { send, receive } = await greet(socket);
  for (const { user, algorithm } of offers) {
    const words = [user, 'ssh-connection', 'publickey'].map(text);
    send(USERAUTH_REQUEST, ...words, Buffer.of(0), text(algorithm), text(text(algorithm)));
    await receive(USERAUTH_FAILURE);
  }
};

/** What a client and sshd say to each other. */
export type Wire = {
  /** Sends a packet, and returns its payload. */
  readonly send: (kind: number, ...parts: readonly Uint8Array[]) => Buffer;
  /** The next packet of one of these kinds, or of any kind. Packets of other kinds before it are left out. Fails where sshd hangs up. */
  readonly receive: (...kinds: readonly number[]) => Promise<Buffer>;
  /** The hash of the exchange of keys. A signature covers it, too. */
  readonly hash: Buffer;
};

/** Resolves once the connection is encrypted. In the next message the client says who it is. */
export const greet = async (socket: Socket): Promise<Wire> => {
  const read = reader(socket);
  let [sending, receiving]: [Cipher | null, Cipher | null] = [null, null];
  const send = (kind: number, ...parts: readonly Uint8Array[]): Buffer => {
    const payload = Buffer.concat([Buffer.of(kind), ...parts]);
    socket.write(seal(payload, sending));
    return payload;
  };
  const receive = async (...kinds: readonly number[]): Promise<Buffer> => {
    for (;;) {
      const length = await read.bytes(4);
      const body = await read.bytes(length.readUInt32BE() + (receiving ? 16 : 0));
      const payload = unseal(body, length, receiving);
      if (kinds.length === 0 || kinds.includes(payload[0] ?? 0)) return payload;
    }
  };
  socket.write(`${VERSION}\r\n`);
  const theirs = await read.line();
  const ownInit = send(KEXINIT, randomBytes(16), ...ALGORITHMS.map(text), Buffer.of(0), number(0));
  const theirInit = await receive(KEXINIT);
  const own = generateKeyPairSync('x25519');
  const point = own.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  send(ECDH_INIT, text(point));
  const [hostKey = Buffer.of(), theirPoint = Buffer.of()] = strings(await receive(ECDH_REPLY));
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, theirPoint]), type: 'spki', format: 'der' });
  const secret = mpint(diffieHellman({ privateKey: own.privateKey, publicKey }));
  const inits = [VERSION, theirs, ownInit, theirInit, hostKey, point, theirPoint].map(text);
  const hash = sha256(...inits, secret);
  const derive = (letter: string, bytes: number): Buffer =>
    Buffer.from(sha256(secret, hash, Buffer.from(letter), hash).subarray(0, bytes));
  send(NEWKEYS);
  await receive(NEWKEYS);
  sending = { key: derive('C', 16), iv: derive('A', 12) };
  receiving = { key: derive('D', 16), iv: derive('B', 12) };
  send(SERVICE_REQUEST, text('ssh-userauth'));
  await receive(SERVICE_ACCEPT);
  return { send, receive, hash };
};
