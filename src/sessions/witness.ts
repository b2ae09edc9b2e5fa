import type { Clock } from '../system/clock.ts';
import { type Connection, type IsAccount, listConnections } from './connections.ts';
import type { Hosted } from './hosted.ts';
import { outsiders } from './outsiders.ts';
import type { Proc } from './proc.ts';
import { idOf, type Process, type ProcessId } from './process.ts';

/** How long requests for a look are gathered into one: so many milliseconds, and so many times what the last look took. */
const GATHER_MS = 20;
const GATHER_TIMES = 2;

/** What the kernel shows at one moment. */
export type Sight = {
  readonly connections: readonly Connection[];
  /** Processes of accounts under no connection. */
  readonly outsiders: readonly Process[];
};

/**
 * Looks at the kernel's list of processes for what is ours. Remembers the connections it has seen, so that they stay known when the listener
 * has ended.
 *
 * @param correct puts hosted sessions below their clients, as of now (clock ticks since boot)
 */
export const createWitness = (
  isAccount: IsAccount,
  correct: Hosted['correct'],
  proc: Pick<Proc, 'list' | 'isOfThisServer' | 'ticks'>,
  clock: Pick<Clock, 'steady' | 'after'>,
) => {
  let listener: ProcessId | null = null;
  let known: ReadonlySet<string> = new Set();
  let gathering: Promise<Sight> | null = null;
  let took = 0;

  const look = (): Sight => {
    if (!listener) return { connections: [], outsiders: [] };
    const begun = clock.steady();
    const processes = correct(proc.list(), proc.ticks());
    const connections = listConnections(processes, listener, known, isAccount);
    known = new Set(connections.map(idOf));
    const outside = outsiders(processes, connections, listener, isAccount);
    took = clock.steady() - begun;
    return {
      connections,
      outsiders: outside.length === 0 ? [] : outside.filter(({ pid }) => proc.isOfThisServer(pid)),
    };
  };

  /** One look serves many that end in the same moment. */
  const lookSoon = async (): Promise<Sight> => {
    await new Promise<void>((resolve) => clock.after(GATHER_MS + GATHER_TIMES * took, resolve));
    gathering = null;
    return look();
  };

  return {
    /** Takes the process whose children are connections. */
    follow: (process: ProcessId): void => {
      listener = process;
    },
    /** Whether it is a connection: the listener's child, or one that was known before the listener ended. */
    isConnection: (process: ProcessId & { readonly parent: number }): boolean =>
      process.parent === listener?.pid || known.has(idOf(process)),
    /** @throws the system's error where /proc cannot be read */
    look,
    /** The processes of accounts that are under no connection a moment from now. */
    outsiders: async (): Promise<readonly Process[]> => {
      gathering ??= lookSoon();
      return (await gathering).outsiders;
    },
  };
};
