import { execa } from 'execa';
import { peerName } from './connections.ts';

/** Bytes of a connection so far, from the server's point of view. */
export type Traffic = { readonly received: number; readonly sent: number };

/**
 * The bytes of each connection to sshd's port as the kernel told them last, by the client's address and port. Where the kernel could not be
 * asked, they are unknown, not zero.
 */
export const createTrafficWatch = (port: number) => {
  let traffic: ReadonlyMap<string, Traffic> = new Map();
  return {
    /** Asks the kernel again. */
    look: async (): Promise<void> => {
      traffic = await readTraffic(port).catch(() => new Map());
    },
    of: (peer: string): Traffic | undefined => traffic.get(peer),
  };
};

export type TrafficWatch = ReturnType<typeof createTrafficWatch>;

/** ss(8), tcp_info. Empty where there is no ss or the kernel does not tell. */
const readTraffic = async (port: number): Promise<ReadonlyMap<string, Traffic>> => {
  const { stdout, exitCode } = await execa('ss', ['-tinH', 'sport', '=', `:${port}`], {
    reject: false,
    stdin: 'ignore',
    timeout: 5000,
  });
  return exitCode === 0 ? parseTraffic(stdout) : new Map();
};

/** Reads what `ss -tinH` prints: a line for the socket, then an indented one with its figures. A missing figure means 0 bytes so far. */
export const parseTraffic = (text: string): ReadonlyMap<string, Traffic> => {
  const traffic = new Map<string, Traffic>();
  let peer: string | null = null;
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) {
      const remote = line.trim().split(/\s+/)[4] ?? '';
      const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(remote);
      peer = match ? peerName((match[1] ?? '').replace(/^::ffff:/, ''), Number(match[2])) : null;
    } else if (peer !== null && /\bsegs_in:|\bbytes_/.test(line)) {
      traffic.set(peer, { received: figure(line, 'bytes_received'), sent: figure(line, 'bytes_sent') });
    }
  }
  return traffic;
};

const figure = (line: string, name: string): number => Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)?.[1] ?? 0);
