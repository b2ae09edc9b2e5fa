import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { connect } from 'node:net';
import { greet, number, text, USERAUTH_FAILURE, USERAUTH_REQUEST, type Wire } from './raw-ssh.ts';

// The part of RFC 4254 with which a client can do to its channels what OpenSSH's client never does.

const USERAUTH_SUCCESS = 52;
const [GLOBAL_REQUEST, REQUEST_FAILURE] = [80, 82];
const [OPEN, CONFIRMATION, OPEN_FAILURE, ADJUST, DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE] = [
  ...[90, 91, 92, 93, 94, 95],
  ...[96, 97, 98, 99, 100],
] as const;
const ALGORITHM = 'ssh-ed25519';
const PACKET = 32_768;
const yes = Buffer.of(1);

export type RawKey = { readonly private: KeyObject; readonly blob: Buffer; readonly public: string };

/** An ed25519 key, whose public line is like a client's. */
export const makeRawKey = (): RawKey => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const blob = Buffer.concat([text(ALGORITHM), text(point)]);
  return { private: privateKey, blob, public: `${ALGORITHM} ${blob.toString('base64')} raw@example.org` };
};

/** One channel of a connection. */
export type RawChannel = {
  /** Sends a request and resolves with whether sshd grants it. */
  readonly ask: (name: string, ...parts: readonly Uint8Array[]) => Promise<boolean>;
  /** `ask` for a command of any bytes. */
  readonly exec: (command: string | Uint8Array) => Promise<boolean>;
  /** `ask` without an answer. */
  readonly tell: (name: string, ...parts: readonly Uint8Array[]) => void;
  /** Sends as many bytes as sshd's window has room for. The rest follows when there is room again. */
  readonly write: (bytes: Uint8Array) => void;
  readonly eof: () => void;
  readonly close: () => void;
  /** Allows sshd to send this many more bytes. */
  readonly adjust: (bytes: number) => void;
  readonly out: () => string;
  readonly error: () => string;
  readonly isOver: () => boolean;
  /** The exit code; null where there was none. */
  readonly code: () => number | null;
};

export type RawConnection = {
  readonly open: (window?: number) => Promise<RawChannel>;
  /** Ends the connection as when a cable is pulled and the kernel gives up. */
  readonly cut: () => void;
  readonly isOver: () => boolean;
};

type State = {
  remote: number;
  room: number;
  pending: Buffer;
  hasEnded: boolean;
  readonly out: Buffer[];
  readonly error: Buffer[];
  readonly answers: ((yes: boolean) => void)[];
  over: boolean;
  code: number | null;
};

/**
 * Logs in by this key.
 *
 * @throws Error where sshd does not let it in
 */
export const logIn = async (port: number, user: string, key: RawKey): Promise<RawConnection> => {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  const wire = await greet(socket);
  const asked = [user, 'ssh-connection', 'publickey'].map(text);
  const offer = [yes, text(ALGORITHM), text(key.blob)];
  const signed = Buffer.concat([text(wire.hash), Buffer.of(USERAUTH_REQUEST), ...asked, ...offer]);
  const signature = Buffer.concat([text(ALGORITHM), text(sign(null, signed, key.private))]);
  wire.send(USERAUTH_REQUEST, ...asked, ...offer, text(signature));
  const [kind] = await wire.receive(USERAUTH_SUCCESS, USERAUTH_FAILURE);
  if (kind !== USERAUTH_SUCCESS) throw new Error(`${user} was not let in`);
  return { ...channelsOf(wire, socket), cut: () => void socket.destroy() };
};

const channelsOf = (wire: Wire, socket: { readonly destroyed: boolean }): Omit<RawConnection, 'cut'> => {
  const channels: State[] = [];
  let over = false;
  const flush = (state: State): void => {
    while (state.pending.length > 0 && state.room > 0 && !over && !socket.destroyed) {
      const part = state.pending.subarray(0, Math.min(state.room, PACKET));
      state.pending = state.pending.subarray(part.length);
      state.room -= part.length;
      wire.send(DATA, number(state.remote), text(part));
    }
    if (state.hasEnded && state.pending.length === 0) {
      state.hasEnded = false;
      wire.send(EOF, number(state.remote));
    }
  };
  const hear = (packet: Buffer): void => {
    if (packet[0] === GLOBAL_REQUEST) {
      const end = 5 + packet.readUInt32BE(1);
      if (packet[end] === 1) wire.send(REQUEST_FAILURE);
      return;
    }
    const state = channels[packet.length >= 5 ? packet.readUInt32BE(1) : -1];
    if (state === undefined) return;
    switch (packet[0]) {
      case CONFIRMATION:
        state.remote = packet.readUInt32BE(5);
        state.room = packet.readUInt32BE(9);
        state.answers.shift()?.(true);
        return;
      case OPEN_FAILURE:
      case FAILURE:
        state.answers.shift()?.(false);
        return;
      case SUCCESS:
        state.answers.shift()?.(true);
        return;
      case ADJUST:
        state.room += packet.readUInt32BE(5);
        flush(state);
        return;
      case DATA:
        state.out.push(packet.subarray(9));
        return;
      case EXTENDED_DATA:
        state.error.push(packet.subarray(13));
        return;
      case REQUEST: {
        const end = 9 + packet.readUInt32BE(5);
        if (packet.toString('latin1', 9, end) === 'exit-status') state.code = packet.readUInt32BE(end + 1);
        return;
      }
      case CLOSE:
        if (!state.over) wire.send(CLOSE, number(state.remote));
        state.over = true;
        state.pending = Buffer.alloc(0);
        state.hasEnded = false;
    }
  };
  void (async () => {
    for (;;) hear(await wire.receive());
  })().catch(() => {
    over = true;
    for (const each of channels) {
      each.over = true;
      for (const answer of each.answers.splice(0)) answer(false);
    }
  });

  const open = async (window = 2_000_000): Promise<RawChannel> => {
    const state: State = {
      ...{ remote: 0, room: 0, pending: Buffer.alloc(0), hasEnded: false, out: [], error: [], answers: [] },
      ...{ over, code: null },
    };
    const answer = () => new Promise<boolean>((resolve) => (over ? resolve(false) : state.answers.push(resolve)));
    const own = channels.push(state) - 1;
    wire.send(OPEN, text('session'), number(own), number(window), number(PACKET));
    if (!(await answer())) throw new Error('sshd opens no channel');
    const request = (name: string, wants: number, parts: readonly Uint8Array[]): void => {
      wire.send(REQUEST, number(state.remote), text(name), Buffer.of(wants), ...parts);
    };
    const ask = (name: string, ...parts: readonly Uint8Array[]): Promise<boolean> => {
      request(name, 1, parts);
      return answer();
    };
    return {
      ask,
      exec: (command) => ask('exec', text(command)),
      tell: (name, ...parts) => request(name, 0, parts),
      write: (bytes) => {
        if (!state.over) state.pending = Buffer.concat([state.pending, bytes]);
        flush(state);
      },
      eof: () => {
        // sshd would end the connection if something were said to a channel that it does not know any more.
        state.hasEnded = !state.over;
        flush(state);
      },
      close: () => {
        if (!state.over) wire.send(CLOSE, number(state.remote));
        state.over = true;
      },
      adjust: (bytes) => void wire.send(ADJUST, number(state.remote), number(bytes)),
      out: () => Buffer.concat(state.out).toString('latin1'),
      error: () => Buffer.concat(state.error).toString(),
      isOver: () => state.over,
      code: () => state.code,
    };
  };
  return { open, isOver: () => over };
};
