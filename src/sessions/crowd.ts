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

/**
 * The launcher counts sessions by their command lines, which a borg that was taken over may write anew. Here the processes count that
 * the kernel shows below each connection.
 *
 * @param most for each account
 * @param now milliseconds of a steady clock
 */
export const createCrowdWatch = (most: number, now: () => number) => {
  let since: ReadonlyMap<string, number> = new Map();

  /**
   * @param countOf how many sessions run over a connection
   * @returns of each account that has had more for long, the newest connections that take it there
   */
  return (sessions: readonly Session[], countOf: (session: Session) => number): readonly Session[] => {
    const crowded = [...Map.groupBy(sessions, ({ account }) => account)].filter(
      ([, ofAccount]) => ofAccount.reduce((sum, each) => sum + countOf(each), 0) > most,
    );
    since = new Map(crowded.map(([account]) => [account, since.get(account) ?? now()]));
    return crowded.flatMap(([account, ofAccount]) => {
      if (now() - (since.get(account) ?? now()) < CROWDED_MS) return [];
      let sum = 0;
      return ofAccount
        .toSorted((a, b) => a.steadySince - b.steadySince)
        .filter((each) => {
          sum += countOf(each);
          return sum > most;
        });
    });
  };
};
