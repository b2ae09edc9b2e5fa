import { createServer, type Socket } from 'node:net';
import { failureInOneLine } from '../failure.ts';
import { listenOn } from './listen.ts';
import { type ControlRequest, requestFormat } from './protocol.ts';

const MAX_REQUEST = 64 * 1024;
/** How many clients may be connected at once: each needs a descriptor, and a pass needs descriptors too. */
const MOST_CLIENTS = 500;
const TURNED_AWAY_MS = 1000;
/** How long a client may take to send its request, and later to read the reply. */
const PATIENCE_MS = 30_000;

/**
 * Answers requests on a root-only Unix socket. A client that sends rubbish, never ends its line or never reads is cut off and delays nobody.
 */
export const startControlServer = async (path: string, answer: (request: ControlRequest) => Promise<unknown>) => {
  let clients = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients += 1;
    socket.on('close', () => {
      clients -= 1;
    });
    if (clients > MOST_CLIENTS) turnAway(socket);
    else serve(socket, answer);
  });
  return listenOn(server, path);
};

/** It does not wait for what the client may still say: a silent client would stay for ever. */
const turnAway = (socket: Socket): void => {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(TURNED_AWAY_MS, () => socket.destroy());
  socket.resume();
  const error = `${MOST_CLIENTS} clients are connected at once; ask again when some are gone`;
  socket.end(`${JSON.stringify({ error })}\n`);
};

const serve = (socket: Socket, answer: (request: ControlRequest) => Promise<unknown>): void => {
  let received = '';
  socket.setEncoding('utf8');
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  // A client that went without a request wants no answer. After a request it may have closed its sending side and still listen.
  socket.on('end', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    received += chunk;
    if (received.length > MAX_REQUEST) {
      socket.destroy();
      return;
    }
    const end = received.indexOf('\n');
    if (end < 0) return;
    socket.removeAllListeners('data').removeAllListeners('end');
    socket.resume();
    socket.setTimeout(0);
    void reply(socket, received.slice(0, end), answer);
  });
};

const reply = async (
  socket: Socket,
  line: string,
  answer: (request: ControlRequest) => Promise<unknown>,
): Promise<void> => {
  let content: unknown;
  try {
    content = await answer(requestFormat.parse(JSON.parse(line)));
  } catch (error) {
    content = { error: failureInOneLine(error) };
  }
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.end(`${JSON.stringify(content)}\n`);
};
