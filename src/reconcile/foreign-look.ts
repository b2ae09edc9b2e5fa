import { join } from 'node:path';
import type { ForeignTrace, RepositoryFolder } from '../accounts/repository-folder.ts';
import { findForeignTrace } from '../borg/foreign-trace.ts';

/** The most folders that one pass looks into because an entry was made or removed there: 0.2 ms each. The next pass looks at the others. */
const MOST_CHANGED = 500;
/** And so many of the others, in turn: 10,000 that do not change cost a pass as little as a hundred. */
const MOST_UNCHANGED = 100;

type Looked = { readonly changed: number; readonly at: number; readonly trace: ForeignTrace | null };

/**
 * Looks for files of root's in repositories, in passes that look at everything. What borg writes as root changes its folder at once.
 * What is copied or changed deeper is found when its turn comes: each pass looks at a hundred repositories.
 */
export const createForeignLook = (repos: string) => {
  const looked = new Map<string, Looked>();
  let passes = 0;

  const lookAt = (folder: RepositoryFolder): void => {
    let trace: ForeignTrace | null = null;
    try {
      trace = findForeignTrace(join(repos, folder.name), folder);
    } catch {
      // It cannot be read, or is just being removed: `doctor` says what is wrong there.
    }
    looked.set(folder.name, { changed: folder.changed ?? 0, at: passes, trace });
  };

  return {
    /** The same folders, with what was found in them. @param anew whether to look; else it only says what is known */
    see: (folders: readonly RepositoryFolder[], anew: boolean): readonly RepositoryFolder[] => {
      if (anew) {
        passes += 1;
        const names = new Set(folders.map(({ name }) => name));
        for (const name of looked.keys()) if (!names.has(name)) looked.delete(name);
        // If the whole folder is root's, it is handed over anyway, or has no account.
        const all = folders.filter(({ kind, filled, uid }) => kind === 'folder' && filled !== false && uid !== 0);
        const last = ({ name }: RepositoryFolder): Looked | undefined => looked.get(name);
        const isDue = (each: RepositoryFolder): boolean => {
          const known = last(each);
          return known === undefined || known.changed !== each.changed || known.trace !== null;
        };
        const since = (each: RepositoryFolder): number => last(each)?.at ?? 0;
        const [due, others] = [all.filter(isDue), all.filter((each) => !isDue(each))];
        const inTurn = (some: readonly RepositoryFolder[], most: number): readonly RepositoryFolder[] =>
          [...some].sort((a, b) => since(a) - since(b)).slice(0, most);
        for (const each of [...inTurn(due, MOST_CHANGED), ...inTurn(others, MOST_UNCHANGED)]) lookAt(each);
      }
      return folders.map((folder) => {
        const trace = looked.get(folder.name)?.trace;
        return trace ? { ...folder, foreign: trace } : folder;
      });
    },
    /** It was handed over: nothing is known of it until the next look. */
    handedOver: (name: string): void => {
      looked.delete(name);
    },
  };
};
