import { connect } from 'node:net';
import { join } from 'node:path';
import { errorCode } from '../system/errno.ts';
import type { ControlReplies, ControlRequest } from './protocol.ts';

/** The control socket's place below the run folder. */
export const controlSocket = (run: string): string => join(run, 'control.sock');

/**
 * Asks the server that runs on this machine (in this container). The socket is root's, so the reply is trusted.
 *
 * @param patience milliseconds of silence after which the server counts as hung; none if left out: an update may take long
 * @param signal ends the waiting, with an error
 * @returns null where no server runs
 * @throws Error with the server's words, or the system's error
 */
export const askServer = async <C extends ControlRequest['command']>(
  run: string,
  request: Extract<ControlRequest, { command: C }>,
  patience = 0,
  signal?: AbortSignal,
): Promise<ControlReplies[C] | null> => {
  const text = await exchange(controlSocket(run), `${JSON.stringify(request)}\n`, patience, signal);
  if (text === null) return null;
  const reply: ControlReplies[C] | { error: string } = JSON.parse(text);
  if ('error' in reply) throw new Error(`the server answered: ${reply.error}`);
  return reply;
};

const NOBODY_THERE: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED']);

const exchange = (path: string, request: string, patience: number, signal?: AbortSignal): Promise<string | null> =>
  new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ path, ...(signal && { signal }) });
    socket.setEncoding('utf8');
    socket.setTimeout(patience, () => socket.destroy(new Error('the server does not answer')));
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', (error) => (NOBODY_THERE.has(errorCode(error)) ? resolve(null) : reject(error)));
    socket.on('end', () => {
      socket.end();
      if (received.endsWith('\n')) resolve(received);
      else reject(new Error('the server closed the connection without an answer: it may be stopping; see its log'));
    });
  });
