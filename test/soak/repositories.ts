import type { Role } from '../../src/accounts/role.ts';

/** What is known of the repositories: archives and the SHA-256 of what was backed up into them, by path below /repos. */
export type Repositories = ReadonlyMap<string, ReadonlyMap<string, string>>;

export type Action = 'init' | 'create' | 'list' | 'extract' | 'delete archive' | 'delete repository' | 'compact';

/** What borg has to answer. WORDS says how each answer is recognised. */
export type Answer =
  | 'done'
  | 'no login'
  | 'path not allowed'
  | 'no repository'
  | 'there is one'
  | 'no folder for it'
  | 'append-only'
  | 'no such archive';

/** What borg says, standard error and all. */
export const WORDS: Readonly<Record<Exclude<Answer, 'done'>, RegExp>> = {
  // borg may notice the end of ssh before it has read what ssh said. If borg had been let in, it would say something else.
  'no login': /Permission denied \(publickey\)|Connection closed by remote host/,
  'path not allowed': /Repository path not allowed/,
  'no repository': /does not exist|is not a valid repository/,
  'there is one': /already exists|There is already something/,
  'no folder for it': /parent path of the repo directory .* does not exist/,
  'append-only': /is in append-only mode/,
  'no such archive': /Archive .* (does not exist|not found)/,
};

/**
 * What borg has to answer to an account that is let in and may name the path.
 *
 * @param path below /repos: `web01`, or `web01/sub` where an account has several
 * @param folders that are in /repos
 */
export const answerTo = (
  { repositories, folders }: { readonly repositories: Repositories; readonly folders: ReadonlySet<string> },
  path: string,
  action: Action,
  archive: string,
  role: Role,
): Exclude<Answer, 'no login' | 'path not allowed'> => {
  const archives = repositories.get(path);
  if (action === 'init') {
    const [top = ''] = path.split('/');
    if (path !== top && !folders.has(top)) return 'no folder for it';
    const occupied = [...repositories.keys()].some((each) => each.startsWith(`${path}/`));
    return archives || occupied || repositories.has(top) ? 'there is one' : 'done';
  }
  if (!archives) return 'no repository';
  if (action === 'delete repository') return role === 'append-only' ? 'append-only' : 'done';
  if (action === 'extract' && !archives.has(archive)) return 'no such archive';
  return 'done';
};

/** The repositories after borg has done the action. */
export const after = (
  repositories: Repositories,
  path: string,
  action: Action,
  archive: string,
  digest: string,
): Repositories => {
  const next = new Map(repositories);
  const archives = new Map(next.get(path));
  switch (action) {
    case 'init':
      return next.set(path, new Map());
    case 'create':
      return next.set(path, archives.set(archive, digest));
    case 'delete archive':
      archives.delete(archive);
      return next.set(path, archives);
    case 'delete repository':
      next.delete(path);
      return next;
    case 'list':
    case 'extract':
    case 'compact':
      return repositories;
  }
};
