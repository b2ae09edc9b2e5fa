import type { Session } from './session.ts';

/**
 * In this time the client of a refused session reads why, and goes by itself. So nobody whom the launcher refuses is cut off before that
 * sentence, also on a machine so busy that the launcher comes to say it late.
 */
const GRACE_MS = 30_000;
/** How many connections above the limit get that time. More than that are a flood, and nobody waits for a flood. */
const PATIENCE = 16;

/**
 * The connections above the number that an account may have at once: its newest. The launcher of borg serve counts the sessions that run over
 * connections. Only the server knows of connections that open no session (`ssh -N`, idle multiplexing).
 *
 * @param most for each account
 * @param now milliseconds of a steady clock
 * @returns those that had time to go by themselves; in a flood also those that had none
 */
export const connectionsBeyond = (sessions: readonly Session[], most: number, now: number): readonly Session[] =>
  [...Map.groupBy(sessions, ({ account }) => account).values()]
    .filter((ofAccount) => ofAccount.length > most)
    .flatMap((ofAccount) => {
      const byAge = ofAccount.toSorted((a, b) => a.steadySince - b.steadySince);
      return byAge.filter(
        ({ steadySince }, index) => index >= most + PATIENCE || (index >= most && now - steadySince > GRACE_MS),
      );
    });

/** How long an account may have too many sessions before they are ended: sessions that the launcher refuses come and go. */
const CROWDED_MS = 30_000;

/** Since when an account has too many sessions, in milliseconds of a steady clock. */
export type CrowdTimes = ReadonlyMap<string, number>;

/** How many sessions run over the connection of a session. */
type CountOf = (session: Session) => number;

/**
 * The times after a look. The launcher counts sessions by their command lines, and a borg that was taken over may rewrite its own. This counts
 * the processes that the kernel shows below each connection.
 *
 * @param most for each account
 */
export const followCrowds = (
  before: CrowdTimes,
  sessions: readonly Session[],
  countOf: CountOf,
  most: number,
  now: number,
): CrowdTimes => {
  const crowded = [...Map.groupBy(sessions, ({ account }) => account)].filter(
    ([, ofAccount]) => ofAccount.reduce((sum, each) => sum + countOf(each), 0) > most,
  );
  return new Map(crowded.map(([account]) => [account, before.get(account) ?? now]));
};

/**
 * The newest connections of each account that has had too many sessions for long: those that bring it above the limit.
 *
 * @param times after the look that has seen them
 */
export const sessionsBeyond = (
  sessions: readonly Session[],
  countOf: CountOf,
  most: number,
  times: CrowdTimes,
  now: number,
): readonly Session[] =>
  [...times].flatMap(([account, since]) => {
    if (now - since < CROWDED_MS) return [];
    let sum = 0;
    return sessions
      .filter((each) => each.account === account)
      .toSorted((a, b) => a.steadySince - b.steadySince)
      .filter((each) => {
        sum += countOf(each);
        return sum > most;
      });
  });
