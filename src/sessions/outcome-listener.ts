import { readLines } from '../sshd/server.ts';
import { spawnSafely } from '../system/spawn.ts';
import { type Outcome, parseOutcome } from './outcome.ts';

/** Beside the launcher, which looks for it there (image/launcher/session.py). */
export const OUTCOME_SOCKET = 'session-ends';

/** How long its start may take, and how long after its end it is started again. */
const START_MS = 10_000;
const AGAIN_MS = 10_000;

/**
 * Hears what sessions say of how they ended. A small program reads it, and asks the kernel who speaks. Where the program cannot be started, or
 * ends, sessions go on without it: `onTrouble` is called, and the program is started again.
 *
 * @param options.program image/session-ends as it was shipped, and the socket that it listens on
 * @returns resolves when it listens, or has failed to; close() ends it
 */
export const listenForOutcomes = async (options: {
  readonly python: string;
  readonly program: readonly string[];
  readonly onOutcome: (outcome: Outcome) => void;
  readonly onTrouble: (error: string) => void;
}): Promise<{ readonly close: () => void }> => {
  let closed = false;
  let end = (): void => {};
  const start = (onReady: () => void): void => {
    const { child, stdin, stdout } = spawnSafely(options.python, ['-I', ...options.program], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    end = () => stdin.end();
    stdin.on('error', () => {});
    void readLines(stdout, (line) => {
      if (line === 'ready') return onReady();
      const outcome = parseOutcome(line);
      if (outcome) options.onOutcome(outcome);
    });
    let over = false;
    const ended = (why: string): void => {
      onReady();
      if (closed || over) return;
      over = true;
      options.onTrouble(why);
      setTimeout(() => !closed && start(() => {}), AGAIN_MS).unref();
    };
    child.once('error', (error) => ended(error.message));
    child.once('exit', (code, signal) => ended(`it ended with ${code ?? signal}`));
  };
  await new Promise<void>((resolve) => {
    start(resolve);
    setTimeout(resolve, START_MS).unref();
  });
  return {
    close: () => {
      closed = true;
      end();
    },
  };
};
