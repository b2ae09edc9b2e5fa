import { createServer, type Socket } from 'node:net';
import { listenOn } from './listen.ts';

/** Beside the launcher, which looks for it there (image/launcher/session.py). */
export const KEEP_SOCKET = 'keep';

/** Longer than every path. */
const MOST_CHARACTERS = 8192;
const MOST_CLIENTS = 500;

/**
 * Lets the sessions of admins ask that a repository is kept before they open it. Each says a path below /repos, on a line, and gets a line once that is
 * done, each time that its client opens a repository. Whoever can connect can do nothing else here.
 *
 * @param gid the admins' group: only it can connect
 */
export const startKeepSocket = async (
  path: string,
  gid: number,
  keep: (repository: string) => Promise<unknown>,
): Promise<{ readonly close: () => void }> => {
  const server = createServer((socket) => serve(socket, keep));
  server.maxConnections = MOST_CLIENTS;
  return listenOn(server, path, gid);
};

/** A session connects when it begins, and says its path when its client does: that may take long. */
const serve = (socket: Socket, keep: (repository: string) => Promise<unknown>): void => {
  let [received, busy] = ['', false];
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    received += chunk;
    const end = received.indexOf('\n');
    // A session waits for each answer.
    if (busy || received.length > MOST_CHARACTERS) socket.destroy();
    if (end < 0 || socket.destroyed) return;
    const path = received.slice(0, end);
    received = '';
    busy = true;
    void keep(path)
      .catch(() => {})
      .finally(() => {
        busy = false;
        socket.write('\n');
      });
  });
};
