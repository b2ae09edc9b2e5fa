import { createLog } from '../daemon/log.ts';
import { serve } from '../daemon/serve.ts';
import type { Places } from '../places.ts';
import { readSettings } from '../settings.ts';
import { renderFailure } from './failure.ts';

/** `borgserver sshd`: the server itself, in the foreground. @returns the exit code */
export const runServer = async (places: Places, overrides: Readonly<Record<string, string>>): Promise<number> => {
  const settings = readSettings({ ...process.env, ...overrides });
  const log = createLog(settings);
  try {
    return await serve(settings, places, log);
  } catch (error) {
    log.error(
      {
        why: renderFailure(error)
          .split('\n')
          .map((line) => line.trim())
          .join(' | '),
      },
      'the server cannot start',
    );
    return 1;
  }
};
