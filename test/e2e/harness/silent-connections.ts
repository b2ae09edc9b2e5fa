import { connect, type Socket } from 'node:net';
import { PATIENCE_MS } from './patience.ts';

/** Connections of a stranger who never logs in. */
export type SilentConnections = {
  /** How many sshd has greeted and not ended. */
  open(): number;
  close(): void;
};

/**
 * Connects `count` times. Each connection says what every SSH client says first, and then nothing more.
 *
 * @param addresses how many addresses of 127.0.0.0/8 they come from
 * @returns once sshd has greeted each of them or turned it away
 */
export const connectSilently = async (port: number, count: number, addresses: number): Promise<SilentConnections> => {
  const standing = new Set<Socket>();
  const sockets: Socket[] = [];
  const begin = (number: number): Promise<unknown> => {
    const from = number % addresses;
    const localAddress = `127.1.${Math.floor(from / 250)}.${(from % 250) + 1}`;
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('close', () => standing.delete(socket));
    socket.once('connect', () => socket.write('SSH-2.0-silent\r\n'));
    return new Promise((resolve) => {
      socket.once('data', (data) => {
        if (data.toString('latin1').startsWith('SSH-2.0-')) standing.add(socket);
        resolve(undefined);
      });
      socket.once('close', resolve);
      socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    });
  };
  for (let number = 0; number < count; number += 50)
    await Promise.all(Array.from({ length: Math.min(50, count - number) }, (_, each) => begin(number + each)));
  return {
    open: () => standing.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
};
