import { createServer } from 'node:net';
import { answerLines } from '../system/answer-lines.ts';
import { listenOn } from './listen.ts';

/** Beside the launcher, which looks for it there (image/launcher/session.py). */
export const KEEP_SOCKET = 'keep';

const MOST_CLIENTS = 500;

/**
 * Lets the sessions of admins ask about repositories (src/snapshots/questions.ts). A session connects when it begins, and asks when its client gives
 * it a reason to: that may take long. Whoever can connect can do nothing else here.
 *
 * @param gid the admins' group: only it can connect
 */
export const startKeepSocket = async (
  path: string,
  gid: number,
  answer: (question: string) => Promise<string>,
): Promise<{ readonly close: () => void }> => {
  const server = createServer((socket) => answerLines(socket, answer));
  server.maxConnections = MOST_CLIENTS;
  return listenOn(server, path, gid);
};
