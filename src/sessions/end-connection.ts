import { setTimeout as pause } from 'node:timers/promises';
import type { Hosted } from './hosted.ts';
import { idOf, type Process, type ProcessId } from './process.ts';
import { isAlive, processesBelow } from './processes.ts';
import { whileStandingStill } from './standstill.ts';

/** How long a connection gets to end by itself: borg releases its lock within milliseconds of TERM. */
const PATIENCE_MS = 3000;
const FIRST_POLL_MS = 10;
const LONGEST_POLL_MS = 200;
/** How often those that have come meanwhile are asked to end before they are made to stand still. */
const MOST_REQUESTS = 2;
const MOST_STANDSTILLS = 5;

/** 'killed': TERM was not enough, and a lock may remain (the next borg of this server removes it). 'alive': neither was KILL. */
export type EndOfConnection = 'ended' | 'killed' | 'alive';

/** What is to be ended. */
export type Ending = {
  /** The root process of a connection, or others that end with all below them. */
  readonly roots: readonly ProcessId[];
  /** Whose processes they may leave behind; null: nobody's. */
  readonly uid: number | null;
  /** Looks for processes of accounts under no connection, not before this moment. */
  readonly outsiders: () => Promise<readonly Process[]>;
  /** The hosted sessions that run over a connection, which the kernel shows elsewhere, and who waits for one. */
  readonly hosted: Pick<Hosted, 'over' | 'isClient'>;
};

/**
 * Ends a connection by its root process, or any other processes with all below them: TERM, on which sshd ends what runs over the
 * connection and borg releases its lock; after some seconds KILL for all of it. What was started meanwhile, or has left the
 * connection meanwhile, is looked for until there is none.
 *
 * @param onFound gets all that is going to be ended, again whenever more is found
 * @returns what was seen, not what was tried
 */
export const endConnection = async (
  { roots, uid, outsiders, hosted }: Ending,
  onFound: (all: readonly ProcessId[]) => void = () => {},
): Promise<EndOfConnection> => {
  const all = new Map<string, ProcessId>();
  const add = (found: readonly ProcessId[]): void => {
    for (const each of found) all.set(idOf(each), { pid: each.pid, start: each.start });
    onFound([...all.values()]);
  };
  const over = (): readonly ProcessId[] => roots.flatMap((root) => hosted.over(root)).map(({ process }) => process);
  /**
   * Not those who wait for a hosted session: they end with it. Were they told, the host would tell their session a second time, and borg,
   * told twice, may leave its lock behind.
   */
  const tell = (found: readonly ProcessId[]): void => {
    for (const each of found) if (!hosted.isClient(each)) signal(each, 'SIGTERM');
  };
  /** Those that are not known yet. Of the same user id they are, and not to stay in any case. */
  const more = async (): Promise<readonly ProcessId[]> => {
    const outside = uid === null ? [] : (await outsiders()).filter((each) => each.uid === uid);
    return [...outside, ...over().filter((each) => isAlive(each))].filter((each) => !all.has(idOf(each)));
  };

  // Hosted ones first: they release their locks. Their host may be gone, and then nobody else tells them.
  const first = [...over(), ...roots];
  add(first);
  try {
    for (const each of first) if (isAlive(each)) add(processesBelow(each.pid));
  } finally {
    // Whatever cannot be read: these are told in any case.
    tell(first);
  }
  const end = performance.now() + PATIENCE_MS;
  for (let requests = 0; await gone(all, end); requests += 1) {
    const found = await more();
    if (found.length === 0) return 'ended';
    if (requests === MOST_REQUESTS) break;
    add(found);
    tell(found);
  }
  // What it has started since, too: a process below one that is killed would be nobody's.
  add(over());
  for (const each of [...all.values()]) if (isAlive(each)) add(processesBelow(each.pid));
  for (const each of all.values()) signal(each, 'SIGKILL');
  for (let times = 0; times <= MOST_STANDSTILLS; times += 1) {
    if (!(await gone(all, performance.now() + PATIENCE_MS))) return 'alive';
    if ((await more()).length === 0) return 'killed';
    const kill = async (): Promise<void> => {
      add(await more());
      for (const each of all.values()) signal(each, 'SIGKILL');
    };
    await (uid === null ? kill() : whileStandingStill(uid, kill));
  }
  return 'alive';
};

/** Looks more and more seldom: many may be ending at once. */
const gone = async (processes: ReadonlyMap<string, ProcessId>, end: number): Promise<boolean> => {
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 1.5, LONGEST_POLL_MS)) {
    if (![...processes.values()].some((each) => isAlive(each))) return true;
    if (performance.now() >= end) return false;
    await pause(wait);
  }
};

/** Signals this very process, not another one that has got its pid. */
export const signal = (process_: ProcessId, name: NodeJS.Signals): void => {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, name);
  } catch {
    // It has ended by itself, or may not be signalled: whether it is gone is looked at.
  }
};
