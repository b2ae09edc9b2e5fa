import type { Server } from './server.ts';

/** The lines of the server's log with this message, where it writes JSON (LOG_FORMAT=json). */
export const logged = (server: Server, message: string | RegExp): readonly Record<string, unknown>[] =>
  server
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => (typeof message === 'string' ? msg === message : message.test(msg)));
