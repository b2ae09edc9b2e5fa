import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Settings } from './settings.ts';

export type { Logger };

/** The server's log: lines for a person, or JSON with LOG_FORMAT=json. Messages are static; what varies is in fields. */
export const createLog = (settings: Pick<Settings, 'LOG_FORMAT' | 'LOG_LEVEL'>): Logger => {
  const options = {
    base: null,
    level: settings.LOG_LEVEL,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (settings.LOG_FORMAT === 'json') return pino(options, pino.destination({ fd: 1, sync: true }));
  return pino(
    options,
    pretty({
      colorize: process.stdout.isTTY === true && !process.env.NO_COLOR,
      singleLine: true,
      // A field named error is a text like any other, on the same line.
      errorLikeObjectKeys: [],
      translateTime: 'SYS:yyyy-mm-dd HH:MM:ss',
      destination: 1,
      sync: true,
    }),
  );
};
