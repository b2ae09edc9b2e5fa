import { serve } from '../daemon/serve.ts';
import { failureFields } from '../failure.ts';
import { createLog } from '../log.ts';
import type { Places } from '../places.ts';
import { readSettings, type Settings, wrongSettings } from '../settings.ts';
import { readServeArguments } from '../start/login-server.ts';

/** The settings, and borg's words in them. @throws failure 'bad-settings' with the problems of both */
const requireAllSettings = (env: NodeJS.ProcessEnv): Settings => {
  const read = readSettings(env);
  const words = readServeArguments(env);
  if (read.ok && words.ok) return read.settings;
  throw wrongSettings([read, words].flatMap((each) => (each.ok ? [] : each.problems)));
};

/** `borgserver sshd`: the server itself, in the foreground. @returns the exit code */
export const runServer = async (places: Places, overrides: Readonly<Record<string, string>>): Promise<number> => {
  const settings = requireAllSettings({ ...process.env, ...overrides });
  const log = createLog(settings);
  try {
    return await serve(settings, places, log);
  } catch (error) {
    log.error(failureFields(error), 'the server cannot start');
    return 1;
  }
};
