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
