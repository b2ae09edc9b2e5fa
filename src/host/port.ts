import { createSocket } from 'node:dgram';
import { errorCode } from '../accounts/error-code.ts';

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
    throw new Error(
      `sshd may not listen on port ${port} here: set SSH_PORT=2222 and publish that port, or give the container the capability NET_BIND_SERVICE or the sysctl net.ipv4.ip_unprivileged_port_start=${port}`,
      { cause: { code: 'privileged-port', port } },
    );
  } finally {
    socket.close();
  }
};
