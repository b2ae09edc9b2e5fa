import type { Duplex } from 'node:stream';

/** Longer than every path. */
const MOST_CHARACTERS = 8192;

/**
 * Answers each line that comes with a line, one after another. Whoever asks waits for each answer: who does not is hung up on, and so is who asks
 * what cannot be answered.
 */
export const answerLines = (socket: Duplex, answer: (line: string) => Promise<string>): void => {
  let [received, busy] = ['', false];
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: string) => {
    received += chunk;
    const end = received.indexOf('\n');
    const isMore = end >= 0 && end + 1 < received.length;
    if (busy || isMore || received.length > MOST_CHARACTERS) socket.destroy();
    if (end < 0 || socket.destroyed) return;
    const line = received.slice(0, end);
    received = '';
    busy = true;
    void answer(line).then(
      (text) => {
        busy = false;
        socket.write(`${text}\n`);
      },
      () => socket.destroy(),
    );
  });
};
