import { join } from 'node:path';
import type { State } from '../accounts/account.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { type FailedSession, openFailedSessions } from '../sessions/failed-sessions.ts';
import type { HostedSession } from '../sessions/host-line.ts';
import type { Hosted } from '../sessions/hosted.ts';
import { listenForOutcomes, OUTCOME_SOCKET } from '../sessions/outcome-listener.ts';
import { createOutcomes } from '../sessions/outcomes.ts';
import type { ProcessId } from '../sessions/process.ts';
import type { Session } from '../sessions/session.ts';
import type { LoginPlan } from './login-server.ts';

/** Hears from the sessions how they end, logs it, and remembers those that failed, but not by their client's doing. */
export type SessionOutcomes = {
  /** Begins to hear them. Resolves when it does, or when its start failed. */
  readonly listen: (plan: Pick<LoginPlan, 'python' | 'listener'>) => Promise<void>;
  readonly opened: (session: Session) => void;
  readonly began: (session: HostedSession) => void;
  readonly endOf: (session: Session) => string | undefined;
  readonly granted: (state: State) => void;
  readonly failed: () => readonly FailedSession[];
  readonly close: () => void;
};

/**
 * @param sessionOf the session of a connection, by its root process
 * @param connectionOf the connection of a hosted session
 * @param onWritten gets the repository of a session that says it has written
 */
export const openSessionOutcomes = (
  places: Pick<Places, 'run' | 'state'>,
  log: Logger,
  sessionOf: (connection: ProcessId) => Session | undefined,
  connectionOf: Hosted['connectionOf'],
  onWritten: (repository: string, session: Session) => void,
): SessionOutcomes => {
  const record = openFailedSessions(places.state, log);
  const outcomes = createOutcomes(
    log,
    sessionOf,
    connectionOf,
    (ended, session) => {
      record.note(ended);
      if (ended.wrote) onWritten(ended.repository, session);
    },
    () => performance.now(),
  );
  let listener = { close: (): void => {} };
  return {
    listen: async ({ python, listener: program }) => {
      listener = await listenForOutcomes({
        python,
        program: [program, join(places.run, OUTCOME_SOCKET)],
        onOutcome: outcomes.take,
        onTrouble: (error) => log.error({ error }, 'the server cannot hear just now how sessions end; it tries again'),
      });
    },
    opened: outcomes.opened,
    began: outcomes.began,
    endOf: outcomes.endOf,
    granted: record.granted,
    failed: record.list,
    close: () => {
      listener.close();
      record.close();
    },
  };
};
