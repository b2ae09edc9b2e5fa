import { setTimeout as pause } from 'node:timers/promises';
import type { Hosted } from './hosted.ts';
import { idOf, type Process, type ProcessId } from './process.ts';
import { isAlive, processesBelow } from './processes.ts';
import { whileStandingStill } from './standstill.ts';
import { hasUnlisted } from './unlisted.ts';

/** How long a connection gets to end by itself: borg releases its lock within milliseconds of TERM. */
const PATIENCE_MS = 3000;
const FIRST_POLL_MS = 10;
const LONGEST_POLL_MS = 200;
/** How often processes that began meanwhile are asked to end, before they are made to stand still. */
const MOST_REQUESTS = 2;
const MOST_STANDSTILLS = 5;

/** 'killed': TERM was not enough, and a lock may remain (the next borg of this server removes it). 'alive': KILL was not enough either. */
export type EndOfConnection = 'ended' | 'killed' | 'alive';

/** What is to be ended. */
export type Ending = {
  /** The root process of a connection, or others that end with all below them. */
  readonly roots: readonly ProcessId[];
  /** The user id of processes that they may leave behind; null: there are none. */
  readonly uid: number | null;
  /** Looks for processes of accounts under no connection. It never answers with what an earlier look has seen. */
  readonly outsiders: () => Promise<readonly Process[]>;
  /** Tells which hosted sessions run over a connection, since the kernel shows them elsewhere, and who waits for one. */
  readonly hosted: Pick<Hosted, 'over' | 'isClient'>;
};

/**
 * Ends a connection by its root process, or any other processes, with all below them. First it sends TERM: sshd then ends what runs over the
 * connection, and borg releases its lock. After some seconds it sends KILL to all of them. It looks for what was started meanwhile, or has left
 * the connection meanwhile, until there is none.
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
   * Leaves out those who wait for a hosted session: they end with it. If they were told, the host would tell their session a second time, and a
   * borg that is told twice may leave its lock behind.
   */
  const tell = (found: readonly ProcessId[]): void => {
    for (const each of found) if (!hosted.isClient(each)) signal(each, 'SIGTERM');
  };
  /** Those that are not known yet. They have the same user id, and must not stay in any case. */
  const more = async (): Promise<readonly ProcessId[]> => {
    const outside = uid === null ? [] : (await outsiders()).filter((each) => each.uid === uid);
    return [...outside, ...over().filter((each) => isAlive(each))].filter((each) => !all.has(idOf(each)));
  };
  /** Whether some escape every list. */
  const unlisted = async (): Promise<boolean> => uid !== null && (await hasUnlisted(uid));

  // Hosted ones first: they release their locks. Their host may be gone, and then nobody else tells them.
  const first = [...over(), ...roots];
  add(first);
  try {
    for (const each of first) if (isAlive(each)) add(processesBelow(each.pid));
  } finally {
    // These are told even if something cannot be read.
    tell(first);
  }
  const end = performance.now() + PATIENCE_MS;
  for (let requests = 0; await gone(all, end); requests += 1) {
    const found = await more();
    if (found.length === 0 && !(await unlisted())) return 'ended';
    // Nobody can ask what is in no list to end.
    if (found.length === 0 || requests === MOST_REQUESTS) break;
    add(found);
    tell(found);
  }
  // Also what it has started since: once the process above is killed, nobody knows whose the one below is.
  add(over());
  for (const each of [...all.values()]) if (isAlive(each)) add(processesBelow(each.pid));
  for (const each of all.values()) signal(each, 'SIGKILL');
  for (let times = 0; times <= MOST_STANDSTILLS; times += 1) {
    if (!(await gone(all, performance.now() + PATIENCE_MS))) return 'alive';
    if ((await more()).length === 0 && !(await unlisted())) return 'killed';
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
    // It has ended by itself, or may not be signalled. The caller looks whether it is gone.
  }
};
