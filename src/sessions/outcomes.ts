import { printable } from '../text/printable.ts';
import { createBucket } from './bucket.ts';
import type { HostedSession } from './host-line.ts';
import type { Hosted } from './hosted.ts';
import { FAILURES, type Failure, type Outcome, repositoryOf } from './outcome.ts';
import { idOf, type ProcessId } from './process.ts';
import type { Session } from './session.ts';
import { sessionFacts, type TrailLog } from './trail.ts';

/** How a session left its repository. */
export type Ended = Pick<Outcome, 'what' | 'wrote'> & { readonly repository: string; readonly account: string };

/** Lines for each account: so many at once, and so many a second after that. An account whose backup fails each night is told of each night. */
const LINES = { burst: 3, perSecond: 1 / 3600 };
/**
 * For this long after a line too many, no session that ended well counts: an account that fails and succeeds in turn pages nobody again and
 * again.
 */
const CALM_MS = 3_600_000;
/** How many connections are kept that sshd has not told of yet. */
const MOST_EARLY = 1000;

/** Whether the log tells of it. 'refused' is only a label: the client asked for something that nobody may have. */
const isTold = (what: Failure): boolean => what !== 'refused';

/**
 * Joins what sessions say of how they ended to the connections that the kernel shows. What a session says opens, closes and ends nothing.
 *
 * @param sessionOf the session of this connection, whatever somebody claims
 * @param connectionOf the connection of a hosted session; undefined for any other process
 * @param onEnded called for each that ended well, or failed for a reason that the server knows
 * @param now milliseconds of a steady clock
 */
export const createOutcomes = (
  log: TrailLog,
  sessionOf: (connection: ProcessId) => Session | undefined,
  connectionOf: Hosted['connectionOf'],
  onEnded: (ended: Ended, session: Session) => void,
  now: () => number,
) => {
  const labels = new Map<string, ReadonlySet<Failure>>();
  const early = new Map<string, readonly Outcome[]>();
  const accounts = new Map<string, { readonly mayTell: () => boolean; hidden: number; hiddenAt: number }>();

  const tell = (session: Session, what: Failure, repository: string | null): void => {
    const known = accounts.get(session.account) ?? {
      mayTell: createBucket(LINES.burst, LINES.perSecond, now),
      hidden: 0,
      hiddenAt: -Infinity,
    };
    accounts.set(session.account, known);
    if (!known.mayTell()) {
      known.hidden += 1;
      known.hiddenAt = now();
      return;
    }
    const facts = { ...sessionFacts(session), ...(repository !== null && { repository: printable(repository, 200) }) };
    const { hidden } = known;
    known.hidden = 0;
    log.warn(
      { ...facts, cause: FAILURES[what], ...(hidden > 0 && { notShownBefore: hidden }) },
      what === 'path' || what === 'refused'
        ? 'a session was refused what its client asked for'
        : 'a session failed, and not by its client',
    );
  };

  const apply = (session: Session, outcome: Outcome): void => {
    if (session.uid !== outcome.uid) return;
    const { what, wrote } = outcome;
    const repository = repositoryOf(outcome, session);
    if (what !== 'well') {
      const id = idOf(session.process);
      labels.set(id, new Set([...(labels.get(id) ?? []), what]));
      if (!isTold(what)) return;
      tell(session, what, repository);
    }
    const restless = now() - (accounts.get(session.account)?.hiddenAt ?? -Infinity) < CALM_MS;
    if (what === 'well' && restless) return;
    if (repository !== null) onEnded({ what, wrote, repository, account: session.account }, session);
  };

  /** Applies what was said before sshd's line came. */
  const catchUp = (session: Session): void => {
    const id = idOf(session.process);
    const said = early.get(id) ?? [];
    early.delete(id);
    for (const each of said) apply(session, each);
  };

  const takeOf = (connection: ProcessId, said: readonly Outcome[]): void => {
    const session = sessionOf(connection);
    if (session) {
      for (const each of said) apply(session, each);
      return;
    }
    const id = idOf(connection);
    if (early.size >= MOST_EARLY) early.delete(early.keys().next().value ?? '');
    early.set(id, [...(early.get(id) ?? []), ...said].slice(-Object.keys(FAILURES).length));
  };

  return {
    take: (outcome: Outcome): void => takeOf(connectionOf(outcome.process) ?? outcome.process, [outcome]),
    /** Applies what a hosted session has said before the session host's line about it came. */
    began: ({ process, connection }: HostedSession): void => {
      const said = early.get(idOf(process));
      if (!said) return;
      early.delete(idOf(process));
      takeOf(connection, said);
    },
    /** How a session ended, in words for its line; undefined where nothing has failed. Call it once, when it is over. */
    endOf: (session: Session): string | undefined => {
      catchUp(session);
      const id = idOf(session.process);
      const found = labels.get(id);
      labels.delete(id);
      return found && [...found].map((each) => FAILURES[each]).join('; ');
    },
    opened: catchUp,
  };
};
