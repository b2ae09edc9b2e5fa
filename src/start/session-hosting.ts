import { loadedFiles } from '../borg/loaded-files.ts';
import type { Logger } from '../log.ts';
import type { Hosted } from '../sessions/hosted.ts';
import type { ProcessId } from '../sessions/process.ts';
import type { Session } from '../sessions/session.ts';
import { type SessionHost, type SessionHostState, startSessionHost } from '../sessions/session-host.ts';
import type { LoginPlan } from './login-server.ts';
import type { SessionOutcomes } from './session-outcomes.ts';

/** 'off': the settings turn it off. 'impossible': this machine cannot have one (src/sshd/session-client.ts). */
export type HostingState = SessionHostState | 'off' | 'impossible';

/** Loads borg once for all sessions. */
export type SessionHosting = {
  /** Starts it, if there is one in the plan. Resolves when it serves, or when its start failed. */
  readonly start: (plan: Pick<LoginPlan, 'python' | 'host'>) => Promise<void>;
  readonly state: () => HostingState;
  readonly close: () => void;
};

/** A process cannot make its command line longer than it was. This is room for what each session shows of itself in /proc/PID/cmdline. */
const ROOM = '-'.repeat(1024);

const PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * @param wanted SESSION_HOST
 * @param sessionOf the session of a connection, by its root process
 */
export const openHosting = (
  wanted: 'yes' | 'no',
  log: Logger,
  hosted: Hosted,
  outcomes: Pick<SessionOutcomes, 'began'>,
  sessionOf: (connection: ProcessId) => Session | undefined,
): SessionHosting => {
  let running: SessionHost | null = null;
  return {
    start: async ({ python, host }) => {
      if (host === null) return;
      running = await startSessionHost({
        ...{ python, program: [host.program, host.terms, ROOM], environment: { ...host.environment, PATH }, log },
        files: await loadedFiles(python),
        ...{ hosted, onBegan: outcomes.began },
        accountOf: (connection) => sessionOf(connection)?.account,
      });
    },
    state: () => running?.state() ?? (wanted === 'no' ? 'off' : 'impossible'),
    close: () => running?.close(),
  };
};
