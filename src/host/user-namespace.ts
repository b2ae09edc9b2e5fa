import { readFileSync } from 'node:fs';
import { LOGIN_GROUPS } from '../accounts/role.ts';
import { failure } from '../failure.ts';
import type { Settings } from '../settings.ts';
import { capabilitiesOf, readStatus } from '../system/proc.ts';

/** Ids that exist in this user namespace: `count` from `first` on. */
export type IdSpan = { readonly first: number; readonly count: number };

/** What a process may be and own here (user_namespaces(7)). */
export type UserNamespace = {
  readonly uids: readonly IdSpan[];
  readonly gids: readonly IdSpan[];
  /** Without setgroups(2) nobody can be logged in. */
  readonly mayHaveGroups: boolean;
};

/**
 * Reads /proc/self/uid_map, gid_map and setgroups. Outside of every user namespace the maps have all ids.
 *
 * @throws the system's error
 */
export const readUserNamespace = (proc = '/proc/self'): UserNamespace => {
  const spansOf = (file: string): readonly IdSpan[] =>
    readFileSync(`${proc}/${file}`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .map(([first = 0, , count = 0]) => ({ first, count }));
  return {
    ...{ uids: spansOf('uid_map'), gids: spansOf('gid_map') },
    mayHaveGroups: readFileSync(`${proc}/setgroups`, 'utf8').trim() !== 'deny',
  };
};

/** Every id of a kernel but the last, which means "none". */
const ALL = 4_294_967_295;

/** In the namespace that has every id, a missing id is never the reason for a failed change. */
export const hasEveryId = ({ uids, gids }: UserNamespace): boolean =>
  [uids, gids].every((spans) => firstMissing(spans, 0, ALL - 1) === null);

/** The lowest id of the range that is not in the spans, or null. */
const firstMissing = (spans: readonly IdSpan[], from: number, last: number): number | null => {
  let next = from;
  for (const { first, count } of [...spans].sort((a, b) => a.first - b.first))
    if (first <= next && next < first + count) next = first + count;
  return next > last ? null : next;
};

type Ids = Pick<Settings, 'PUID' | 'PGID' | 'UID_RANGE' | 'IDENTITIES'>;

/** The settings that are impossible in this user namespace: a sentence for each, with its setting. */
export const namespaceProblems = (namespace: UserNamespace, settings: Ids): readonly string[] => {
  const { uids, gids, mayHaveGroups } = namespace;
  const { PUID, PGID, UID_RANGE, IDENTITIES } = settings;
  const lacks = (spans: readonly IdSpan[], first: number, last = first): boolean =>
    firstMissing(spans, first, last) !== null;
  const outside = (name: string, value: string, kind: string, spans: readonly IdSpan[], cure: string): string =>
    `${name}: ${value} is not among the ${kind} ids of this user namespace (${spansText(spans)}); ${cure}`;
  const more = 'give the container more (/etc/subuid and /etc/subgid on the host; 65536 are usual)';
  const range = `${UID_RANGE.first}-${UID_RANGE.last}`;
  const own = IDENTITIES === 'own';
  return [
    ...(lacks(uids, PUID) ? [outside('PUID', String(PUID), 'user', uids, 'choose one of them')] : []),
    ...(lacks(gids, PGID) ? [outside('PGID', String(PGID), 'group', gids, 'choose one of them')] : []),
    ...(own && lacks(uids, UID_RANGE.first, UID_RANGE.last)
      ? [outside('UID_RANGE', range, 'user', uids, `choose a part of them, or ${more}`)]
      : own && lacks(gids, UID_RANGE.first, UID_RANGE.last)
        ? [outside('UID_RANGE', range, 'group', gids, `choose a part of them, or ${more}`)]
        : []),
    ...LOGIN_GROUPS.filter(({ gid }) => lacks(gids, gid))
      .slice(0, 1)
      .map(({ name, gid }) => outside(`group ${name}`, String(gid), 'group', gids, more)),
    ...(mayHaveGroups
      ? []
      : ['this user namespace forbids setgroups, and nobody can be logged in: give it group ids by newgidmap']),
  ];
};

/** For a person: `0-65535`. */
export const spansText = (spans: readonly IdSpan[]): string =>
  spans.length === 0 ? 'none' : spans.map(({ first, count }) => `${first}-${first + count - 1}`).join(', ');

/**
 * Checks that the ids of the settings exist here: a rootless container has only some of them.
 *
 * @throws Error with cause `{ code: 'unmapped-ids', problems }`
 */
export const checkUserNamespace = (settings: Ids, namespace: UserNamespace = readUserNamespace()): void => {
  const problems = namespaceProblems(namespace, settings);
  if (problems.length > 0)
    throw failure('the settings need ids that this user namespace does not have', { code: 'unmapped-ids', problems });
};

/** capabilities(7), CAP_CHOWN. */
const CHOWN = 0;

/** Whether this process may change owners, as far as its own rights decide that. */
export const mayChangeOwners = (status: string = readStatus('self')): boolean => capabilitiesOf(status)(CHOWN);
