import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';

/**
 * Sees that the kernel would let this process listen on the port. Docker opens the low ports to everybody in a container (the sysctl
 * net.ipv4.ip_unprivileged_port_start), Podman and Kubernetes do not.
 *
 * Tried and not read: which user namespace owns the network decides, too. With UDP, of which the kernel asks the same (ip(7)), and
 * to which nobody can connect meanwhile. Any other trouble with the port is sshd's to tell.
 *
 * @throws Error with cause `{ code: 'privileged-port', port }`; the message is the whole cure
 */
export const checkPort = async (port: number): Promise<void> => {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port, exclusive: true }, resolve);
    });
  } catch (error) {
    if (errorCode(error) !== 'EACCES') return;
    throw failure(
      `sshd may not listen on port ${port} here: set SSH_PORT=2222 and publish that port, or give the container the capability NET_BIND_SERVICE or the sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
      { code: 'privileged-port', port },
    );
  } finally {
    socket.close();
  }
};

/**
 * Sees that nobody listens on the port, at any address. Where somebody has it for IPv4 alone, sshd goes on with IPv6, and most clients
 * would come to somebody else.
 *
 * @throws Error with cause `{ code: 'port-taken', port }`; the message is the whole cure
 */
export const checkNobodyListens = (port: number): void => {
  if (['tcp', 'tcp6'].some((table) => listens(readTable(table), port)))
    throw failure(
      `somebody listens on port ${port} already: end that, or set SSH_PORT to another port (ss -ltnp shows who it is)`,
      { code: 'port-taken', port },
    );
};

/** Without one of them there is no IPv6, or no /proc/net: sshd tells then. */
const readTable = (name: string): string => {
  try {
    return readFileSync(`/proc/net/${name}`, 'utf8');
  } catch {
    return '';
  }
};

/** As /proc/net/tcp has it (proc_net(5)): `sl local_address rem_address st`, addresses and ports in hexadecimal. */
const LISTEN = '0A';

const listens = (table: string, port: number): boolean => {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === LISTEN && local.endsWith(end);
  });
};
