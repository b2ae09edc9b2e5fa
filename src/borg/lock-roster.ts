/** The most bytes of a roster that are read: some 10,000 entries. */
export const MAX_ROSTER_BYTES = 1 << 20;

/** What is left of a roster; null where nothing is left. `removed` names the entries as borg names its lock files. */
export type RosterWithout = { readonly removed: readonly string[]; readonly left: string | null };

/**
 * Takes one host's entries out of a lock.roster: `{"shared": [[HOSTID, PID, THREAD], …], "exclusive": […]}` in JSON
 * (borg/locking.py, LockRoster). Text of any other form has no such entries.
 */
export const withoutHost = (text: string, hostId: string): RosterWithout => {
  const roster = parseObject(text);
  const removed: string[] = [];
  const left = Object.fromEntries(
    Object.entries(roster).map(([kind, entries]) => {
      if (!Array.isArray(entries)) return [kind, entries];
      const isOwn = (entry: unknown): boolean => Array.isArray(entry) && entry[0] === hostId;
      removed.push(...entries.filter(isOwn).map((entry) => `${kind} ${hostId}.${whole(entry[1])}-${whole(entry[2])}`));
      return [kind, entries.filter((entry) => !isOwn(entry))];
    }),
  );
  const empty = Object.values(left).every((entries) => Array.isArray(entries) && entries.length === 0);
  return { removed, left: empty ? null : JSON.stringify(left) };
};

const whole = (value: unknown): string => (Number.isSafeInteger(value) ? String(value) : '?');

const parseObject = (text: string): object => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
};
