import { printable } from '../accounts/printable.ts';
import { serve } from '../daemon/serve.ts';
import { createLog } from '../log.ts';
import type { Places } from '../places.ts';
import { readSettings, type Settings } from '../settings.ts';
import { serveArguments } from '../start/login-server.ts';
import { renderFailure } from './failure.ts';

/** The settings, and borg's words in them: every problem of both at once. @throws as readSettings does */
const readAllSettings = (env: NodeJS.ProcessEnv): Settings => {
  const problems: string[] = [];
  const read = <Value>(step: () => Value): Value | null => {
    try {
      return step();
    } catch (error) {
      const found =
        error instanceof Error && typeof error.cause === 'object' && error.cause && 'problems' in error.cause
          ? error.cause.problems
          : null;
      if (!Array.isArray(found)) throw error;
      problems.push(...found.map(String));
      return null;
    }
  };
  const settings = read(() => readSettings(env));
  read(() => serveArguments(env));
  if (settings && problems.length === 0) return settings;
  throw new Error('the settings are wrong', { cause: { code: 'bad-settings', problems } });
};

/** `borgserver sshd`: the server itself, in the foreground. @returns the exit code */
export const runServer = async (places: Places, overrides: Readonly<Record<string, string>>): Promise<number> => {
  const settings = readAllSettings({ ...process.env, ...overrides });
  const log = createLog(settings);
  try {
    return await serve(settings, places, log);
  } catch (error) {
    log.error(factsOfFailure(error), 'the server cannot start');
    return 1;
  }
};

/** The words of the failure, and the facts of its cause as fields of their own. */
const factsOfFailure = (error: unknown): object => {
  const [why, ...more] = renderFailure(error)
    .split('\n')
    .map((line) => line.trim());
  const { code, ...facts } = factsOfCause(error);
  return Object.keys(facts).length > 0 ? { why, ...facts } : { why: [why, ...more].join(' | ') };
};

const factsOfCause = (error: unknown): Readonly<Record<string, string>> => {
  const cause = error instanceof Error ? error.cause : null;
  if (typeof cause !== 'object' || cause === null || cause instanceof Error) return {};
  return Object.fromEntries(
    Object.entries(cause).map(([key, value]) => [
      key,
      printable(Array.isArray(value) ? value.join('; ') : String(value), 1000),
    ]),
  );
};
