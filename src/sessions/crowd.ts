import type { Session } from './session.ts';

/** In which a session that was refused has read why and is gone by itself: one that the launcher refuses is not cut off before its sentence. */
const GRACE_MS = 5000;
/** How many beyond what they may be get that time: what is more is a flood, which is not waited for. */
const PATIENCE = 16;

/**
 * Connections beyond those that an account may have at once: its newest. What runs over them the launcher of borg serve counts; of
 * connections that open no session (`ssh -N`, idle multiplexing) only the server knows.
 *
 * @param most for each account
 * @param now milliseconds of a steady clock
 * @returns those that had time to go by themselves, and of a flood also those that had none
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

/** How long an account may have more sessions than it may before they are ended: those that the launcher refuses come and go. */
const CROWDED_MS = 30_000;

/** Since when an account has more sessions than it may, in milliseconds of a steady clock. */
export type CrowdTimes = ReadonlyMap<string, number>;

/** How many sessions run over the connection of a session. */
type CountOf = (session: Session) => number;

/**
 * The times after a look. The launcher counts sessions by their command lines, which a borg that was taken over may write anew. Here the
 * processes count that the kernel shows below each connection.
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
 * Of each account that has had more sessions for long, the newest connections that take it there.
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
