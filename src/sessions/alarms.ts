/** A contradiction between what the log says and what the kernel shows. None is ever in order. */
export type Alarm = {
  /** A sentence for an operator. */
  readonly what: string;
  readonly times: number;
  /** Milliseconds since the epoch, of the last time. */
  readonly last: number;
};

/** How long `doctor` shows an alarm, and how long an alarm makes the server ill. */
const KEPT_MS = 24 * 3600 * 1000;
export const FRESH_MS = 10 * 60 * 1000;
/** How many different sentences are kept. Strangers must not fill memory with them. */
const MOST = 100;

/**
 * Keeps alarms for a day, each sentence once.
 *
 * @param now milliseconds since the epoch
 */
export const createAlarms = (now: () => number) => {
  const kept = new Map<string, Alarm>();
  const forget = (): void => {
    for (const [what, { last }] of kept) if (now() - last > KEPT_MS) kept.delete(what);
  };
  return {
    /** @returns whether it is new, or has been quiet for long enough to be told again */
    raise: (what: string): boolean => {
      forget();
      const known = kept.get(what);
      if (!known && kept.size >= MOST) return false;
      kept.set(what, { what, times: (known?.times ?? 0) + 1, last: now() });
      return !known || now() - known.last > FRESH_MS;
    },
    list: (): readonly Alarm[] => {
      forget();
      return [...kept.values()];
    },
  };
};

/** The alarms that make the server ill. */
export const freshAlarms = (alarms: readonly Alarm[], now: number): readonly Alarm[] =>
  alarms.filter(({ last }) => now - last <= FRESH_MS);
