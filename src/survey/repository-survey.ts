import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { isNobodys } from '../accounts/nobodys.ts';
import type { ForeignTrace, RepositoryFolder } from '../accounts/repository-folder.ts';
import { type Damage, findDamage } from '../borg/damage.ts';
import { findForeignTrace } from '../borg/foreign-trace.ts';
import { type ArchiveMemory, NO_MEMORY } from '../borg/last-archive.ts';
import { findOddEntry } from '../borg/odd-entry.ts';
import { type RepositoryState, readRepositoryState } from '../borg/repository-state.ts';
import { failureInOneLine } from '../failure.ts';
import { scanRepositories } from '../repositories/scan.ts';

/** One folder of /repos, or a repository that lies deeper. */
export type Surveyed = {
  /** The path below /repos: hostile text where no account has this name. */
  readonly path: string;
  /** The entry of /repos that this is, or that it lies in. */
  readonly folder: RepositoryFolder;
  readonly nested: boolean;
  /** Milliseconds since the epoch: when the folder was made (or, where the file system does not know it, last changed). */
  readonly born: number;
  /** What in it is not its owner's. Left out: nothing was seen. */
  readonly foreign?: ForeignTrace;
  /** Null: it is not a folder. */
  readonly state: RepositoryState | { readonly kind: 'unreadable'; readonly why: string } | null;
  /** Why borg does not open it. Left out: nothing was found. */
  readonly damage?: Damage;
};

/**
 * Looks at every entry of /repos that is not the system's own, and at the repositories inside it, in the order of their paths.
 *
 * @param memory of when each had its last archive
 * @throws the system's error where /repos cannot be read
 */
export const surveyRepositories = (repos: string, memory: ArchiveMemory = NO_MEMORY): readonly Surveyed[] => [
  ...eachRepository(repos, memory),
];

/** The same one by one, for a caller that does other things in between. */
export function* eachRepository(repos: string, memory: ArchiveMemory = NO_MEMORY): Generator<Surveyed> {
  for (const folder of [...scanRepositories(repos)].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (isNobodys(folder.name, folder.kind)) continue;
    if (folder.kind === 'other') {
      yield { path: folder.name, folder, nested: false, born: 0, state: null };
      continue;
    }
    const top = surveyOne(repos, folder.name, folder, false, memory);
    yield top;
    for (const name of top.state && 'nested' in top.state ? top.state.nested : [])
      yield surveyOne(repos, join(folder.name, name), folder, true, memory);
  }
}

const surveyOne = (
  repos: string,
  path: string,
  folder: RepositoryFolder,
  nested: boolean,
  memory: ArchiveMemory,
): Surveyed => {
  const place = join(repos, path);
  try {
    const { birthtimeMs, mtimeMs } = lstatSync(place);
    const odd = findOddEntry(place, false);
    const state = odd
      ? ({ kind: 'unreadable', why: `${odd.path} is ${odd.kind}, for which borg waits without end` } as const)
      : // No repository is looked for inside another: a tenant could make a thousand in each of a thousand.
        readRepositoryState(place, memory, nested ? 0 : undefined);
    // If the whole folder is root's, that is told elsewhere.
    const foreign = state?.kind === 'repository' && folder.uid !== 0 ? findForeignTrace(place, folder) : null;
    const damage = odd || !state || state.kind === 'empty' ? null : findDamage(place, folder);
    const trouble = { ...(foreign && { foreign }), ...(damage && { damage }) };
    return { path, folder, nested, born: birthtimeMs || mtimeMs, state, ...trouble };
  } catch (error) {
    return { path, folder, nested, born: 0, state: { kind: 'unreadable', why: failureInOneLine(error) } };
  }
};
