import { compareText } from '../text/order.ts';
import { readAbout } from './about.ts';
import type { ChangeRecord } from './change-record.ts';
import type { Failing } from './failing.ts';
import { accountOf } from './folders.ts';
import type { KeptStates } from './kept-states.ts';
import { listSnapshots } from './store.ts';

const NONE = { count: 0, newest: null, olderHold: 0, protected: null };

/** Remembers for `status` which snapshots there are, so that it need not look at every folder. */
export const createKnown = () => {
  const known = new Map<string, Omit<KeptStates, 'failing' | 'marked'>>();
  const byAccount = new Map<string, Set<string>>();
  return {
    has: (path: string): boolean => known.has(path),
    /**
     * Looks at the snapshots of a repository.
     *
     * @throws the system's error
     */
    note: (path: string, folder: string): void => {
      const snapshots = listSnapshots(folder);
      const newest = snapshots.at(-1);
      const about = newest && readAbout(newest);
      byAccount.set(accountOf(path), (byAccount.get(accountOf(path)) ?? new Set()).add(path));
      known.set(path, {
        ...{ repository: path, count: snapshots.length, newest: newest?.at ?? null },
        ...{ olderHold: about?.olderHold ?? 0, protected: about?.protected ?? null },
      });
    },
    /** Repositories of an account that have snapshots, or had some. */
    of: (account: string): readonly string[] => [...(byAccount.get(account) ?? [])],
    /** Sorted; with those that have none, since none can be taken. */
    list: (
      failing: { readonly paths: () => Iterable<string>; readonly of: (path: string) => Failing | null },
      unseen: (path: string) => readonly ChangeRecord[],
    ): readonly KeptStates[] =>
      [...new Set([...known.keys(), ...failing.paths()])].sort(compareText).map((repository) => ({
        ...(known.get(repository) ?? { ...NONE, repository }),
        failing: failing.of(repository),
        marked: unseen(repository).map(({ at, marks }) => ({ at, marks })),
      })),
  };
};
