import { chmodSync, chownSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';

/**
 * Lets a server listen on a Unix socket that only root can reach, or also a group. What was there is removed first.
 *
 * @param gid that group
 * @throws the system's error
 */
export const listenOn = async (server: Server, path: string, gid?: number): Promise<{ readonly close: () => void }> => {
  rmSync(path, { force: true });
  // The socket must not be open to others for one moment: the umask applies to the name that listen makes.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(umask);
  }
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, gid === undefined ? 0o600 : 0o660);
  return {
    close: () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
};
