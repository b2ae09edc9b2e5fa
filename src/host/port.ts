import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';

/**
 * Checks that the kernel would let this process listen on the port. In a container Docker opens the low ports to everybody (the
 * sysctl net.ipv4.ip_unprivileged_port_start); Podman and Kubernetes do not.
 *
 * It tries, and does not read a setting: the answer also depends on the user namespace that owns the network. It tries with UDP, for which the
 * kernel has the same rule (ip(7)), and to which nobody can connect meanwhile. sshd itself reports any other trouble with the port.
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
 * Checks that nobody listens on the port, at any address. If another program has it for IPv4 alone, sshd goes on with IPv6, and most
 * clients would reach the other program.
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

/** Without one of these files there is no IPv6, or no /proc/net. Then sshd reports a taken port. */
const readTable = (name: string): string => {
  try {
    return readFileSync(`/proc/net/${name}`, 'utf8');
  } catch {
    return '';
  }
};

/** The form of /proc/net/tcp (proc_net(5)): `sl local_address rem_address st`, addresses and ports in hexadecimal. */
const LISTEN = '0A';

const listens = (table: string, port: number): boolean => {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === LISTEN && local.endsWith(end);
  });
};
