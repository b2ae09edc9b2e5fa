import { type Dirent, lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { type ForeignTrace, isForeign, type Owner } from '../accounts/repository-folder.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { printable } from '../text/printable.ts';
import { DEEPEST } from './depth.ts';
import { isRepository } from './is-repository.ts';
import { lastNumber } from './last-number.ts';
import { foldersAmong, type Looked, lookBelow } from './look-below.ts';

/** borg keeps about ten entries there. */
const MOST_ENTRIES = 100;
/** In so many folders the repositories of an account with several are looked for. */
const MOST_INSIDE = 50;
const EXAMPLES = 3;
/** As borg sets `segments_per_dir` (1.1 and newer, and before). */
const SEGMENTS_PER_FOLDER = [1000, 10_000];

/**
 * Looks where borg or a copy leaves traces when root was at work: config, nonce, index and its companions, the newest segments and
 * their folders. At most some twenty looks for a repository; `doctor` finds what lies elsewhere. No link is followed.
 *
 * Only root can make what is foreign (repository-folder.ts).
 *
 * @param owner the account that must own all of it
 * @returns null where nothing is foreign, or there is no folder
 * @throws the system's error where it cannot be read
 */
export const findForeignTrace = (path: string, owner: Owner): ForeignTrace | null =>
  inFolder(path, (folder) => {
    const entries = folder.someEntries(MOST_ENTRIES);
    const names = entries.map(({ name }) => name);
    const found = names.includes('config') && names.includes('data') ? lookAt(folder, names, owner, '') : [];
    if (found.length > 0 || isRepository(folder)) return traceOf(found);
    return traceOf(firstBelow(folder, entries, owner));
  });

/** What the first of the repositories below has that has something; below a repository none is looked for. */
const firstBelow = (top: FolderHandle, entries: readonly Dirent[], owner: Owner): readonly Found[] => {
  let left = MOST_INSIDE;
  function* into(some: readonly Dirent[]): Generator<string> {
    for (const name of foldersAmong(some)) {
      if (left <= 0) return;
      left -= 1;
      yield name;
    }
  }
  return lookBelow(top, into(entries), DEEPEST, (folder, path): Looked<Found> => {
    const some = folder.someEntries(MOST_ENTRIES);
    const names = some.map(({ name }) => name);
    if (!names.includes('config') || !names.includes('data'))
      return isRepository(folder) ? {} : { into: () => into(some) };
    const own = lstatSync(`${folder.path}/.`);
    const found = [
      ...(isForeign(own, owner) ? [{ path, found: own }] : []),
      ...lookAt(folder, names, owner, `${path}/`),
    ];
    if (found.length > 0) left = 0;
    return { found };
  });
};

type Found = { readonly path: string; readonly found: Stats };

const lookAt = (folder: FolderHandle, names: readonly string[], owner: Owner, shown: string): readonly Found[] => {
  const newest = lastNumber(names, 'index') ?? -1;
  // And the next number: it may be there from a borg that was interrupted before its commit.
  const segments = [newest, newest + 1].flatMap((segment) =>
    SEGMENTS_PER_FOLDER.map((each) => [String(Math.floor(segment / each)), String(segment)] as const),
  );
  const top = [
    ...['config', 'README', 'nonce', 'lock.exclusive', 'lock.roster', 'data'].filter((name) => names.includes(name)),
    ...names.filter((name) => /^(index|hints|integrity)\.\d+$/.test(name)).slice(-6),
  ];
  // Each folder has its own descriptor: `data`, too, may be replaced by a link to something that is rightly root's.
  const inData = inFolder(join(folder.path, 'data'), (data) =>
    [...new Set(segments.map(([place]) => place))].flatMap((place) => [
      ...foreignAt(data, place, owner, `${shown}data/`),
      ...(inFolder(join(data.path, place), (some) =>
        segments.flatMap(([its, segment]) =>
          its === place ? foreignAt(some, segment, owner, `${shown}data/${place}/`) : [],
        ),
      ) ?? []),
    ]),
  );
  return [...top.flatMap((name) => foreignAt(folder, name, owner, shown)), ...(inData ?? [])];
};

/** An entry of this very folder, if it is foreign. */
const foreignAt = (folder: FolderHandle, name: string, owner: Owner, shown: string): readonly Found[] => {
  const found = lstatSync(join(folder.path, name), { throwIfNoEntry: false });
  return found && (found.isFile() || found.isDirectory()) && isForeign(found, owner)
    ? [{ path: `${shown}${name}`, found }]
    : [];
};

const traceOf = (all: readonly Found[]): ForeignTrace | null => {
  if (all.length === 0) return null;
  const isLock = ({ path }: Found): boolean => /(^|\/)lock\.exclusive$/.test(path);
  const lock = all.find(isLock);
  const others = all.filter((each) => !isLock(each));
  const isLinked = ({ found }: Found): boolean => found.isFile() && found.nlink > 1;
  return {
    text: all
      .slice(0, EXAMPLES)
      .map(({ path, found: { uid, gid } }) => `${printable(path, 80)} (${uid}:${gid})`)
      .join(', '),
    lockedSince: lock ? lock.found.mtimeMs : null,
    linked: others.length > 0 && others.every(isLinked),
  };
};
