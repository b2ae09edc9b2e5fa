import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { failure, failureInOneLine } from '../failure.ts';
import { whereOwnersAreKept } from '../host/ownerless.ts';
import { checkUserNamespace, hasEveryId, mayChangeOwners, readUserNamespace } from '../host/user-namespace.ts';
import type { Places } from '../places.ts';
import { type OwnerProbe, probeOwners } from '../repositories/owner-probe.ts';
import type { Settings } from '../settings.ts';
import { isReadOnly } from '../system/read-only.ts';
import { READ_ONLY_AT_START } from './read-only-disk.ts';

/** What an operator is told at every start, and by `borgserver status`. */
export const SHARED_IDENTITIES =
  'IDENTITIES=shared: all accounts have one user id; only the box of each borg, where the kernel has one, and borg’s own restriction keep a tenant from the data of others';

type Ids = Pick<Settings, 'PUID' | 'PGID' | 'UID_RANGE' | 'IDENTITIES'>;

const ROOT_MODE = 0o1771;
const STATE_MODE = 0o711;

/**
 * Gives /repos the owner and mode that the accounts need: the admins' group may make repositories, tenants cannot list names, and
 * nobody can remove what is not theirs. The server's state below it is root's, and searchable for the cache folders inside. Where
 * identities are shared, the file system need not keep any of that, but must let PUID write.
 *
 * @throws Error with cause `{ code: 'unmapped-ids', problems }`; `{ code: 'missing-mount', path }` where /repos is not there;
 *   `{ code: 'unusable-repositories' | 'fixed-owners' | 'bad-state-folder', path, … }`
 */
export const prepareRepositoriesFolder = (places: Places, settings: Ids): void => {
  checkUserNamespace(settings);
  if (!lstatSync(places.repos, { throwIfNoEntry: false })?.isDirectory()) {
    throw failure('there is no folder for the repositories: mount it', { code: 'missing-mount', path: places.repos });
  }
  try {
    settle(places.repos, { uid: 0, gid: settings.PGID, mode: ROOT_MODE });
    mkdirSync(places.state, { recursive: true, mode: STATE_MODE });
  } catch (error) {
    throw unusable(places, failureInOneLine(error));
  }
  // An admin of another server may have left a link there. Root must not follow it.
  if (!lstatSync(places.state).isDirectory()) {
    throw failure('the place of the server state is not a folder: move it away', {
      code: 'bad-state-folder',
      path: places.state,
    });
  }
  settle(places.state, { uid: 0, gid: 0, mode: STATE_MODE });
  if (settings.IDENTITIES === 'shared') requireWriting(places, settings);
  else {
    requireOwners(places, probeRepositories(places, settings));
    requireRoots(places);
  }
};

/** Gives a folder its owner and mode, as far as the file system keeps them. What must be kept is checked afterwards. */
const settle = (path: string, wanted: { readonly uid: number; readonly gid: number; readonly mode: number }): void => {
  const found = lstatSync(path);
  if (found.uid !== wanted.uid || found.gid !== wanted.gid)
    whereOwnersAreKept(() => chownSync(path, wanted.uid, wanted.gid));
  if ((lstatSync(path).mode & 0o7777) !== wanted.mode) whereOwnersAreKept(() => chmodSync(path, wanted.mode));
};

/** Whether owners can be changed where the repositories are. */
export const probeRepositories = (places: Places, { PUID, PGID, UID_RANGE, IDENTITIES }: Ids): OwnerProbe => {
  const owner = IDENTITIES === 'own' ? { uid: UID_RANGE.last, gid: UID_RANGE.last } : { uid: PUID, gid: PGID };
  try {
    return probeOwners(places.state, owner);
  } catch (error) {
    throw unusable(places, failureInOneLine(error));
  }
};

/** What is said of a /repos that cannot be used, with the cure where it is known. */
export const unusable = ({ repos }: Places, found: string): Error =>
  failure('the folder of the repositories cannot be used', {
    code: 'unusable-repositories',
    path: repos,
    found,
    remedy: remedyFor(repos) ?? 'it must be writable',
  });

/** Why even a file system with owners refuses, where that is known. */
const remedyFor = (repos: string): string | null => {
  if (isReadOnly(repos)) return READ_ONLY_AT_START;
  if (!mayChangeOwners()) return 'give the server the capability CHOWN, as docker-compose.yml does';
  const overflow = Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'));
  return lstatSync(repos).uid === overflow && !hasEveryId(readUserNamespace())
    ? 'it belongs to somebody outside of this user namespace: on the host, give it to the container’s root'
    : null;
};

const requireOwners = (places: Places, probe: OwnerProbe): void => {
  const path = places.repos;
  switch (probe.kind) {
    case 'kept':
      return;
    case 'setgid-dropped':
      throw failure('the setgid bit of a folder is dropped: the server needs the capability FSETID', {
        code: 'unusable-repositories',
        path,
      });
    case 'refused':
    case 'ignored': {
      const found = probe.kind === 'refused' ? `chown: ${probe.code}` : 'chown changes nothing';
      if (remedyFor(path) !== null) throw unusable(places, found);
      throw failure(
        'the file system of the repositories cannot change owners, and each account needs its own: use one with Unix owners, or set IDENTITIES=shared (all accounts are then PUID:PGID, and only borg’s restriction keeps them apart)',
        { code: 'fixed-owners', path, found },
      );
    }
  }
};

/** The owner of these two folders could exchange every repository, or the server's state. */
const requireRoots = (places: Places): void => {
  for (const path of [places.repos, places.state]) {
    const { uid } = lstatSync(path);
    if (uid !== 0) throw unusable(places, `${path} belongs to ${uid} and cannot be given to root`);
  }
};

/** It tries, and does not compute: a network file system may map or refuse what the modes allow. */
const requireWriting = (places: Places, { PUID, PGID }: Ids): void => {
  const probe = mkdtempSync(join(places.state, 'probe-'));
  try {
    whereOwnersAreKept(() => chownSync(probe, PUID, PGID));
    execFileSync('mkdir', ['--', join(probe, 'inside')], { uid: PUID, gid: PGID, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { uid, gid, mode } = lstatSync(probe);
    throw failure(
      `the accounts cannot write where the repositories are: mount it for ${PUID}:${PGID} (options uid=${PUID},gid=${PGID},umask=007, where it has such)`,
      {
        ...{ code: 'unusable-repositories', path: places.repos, found: failureInOneLine(error) },
        made: `what is made there belongs to ${uid}:${gid}, with mode ${(mode & 0o7777).toString(8)}`,
      },
    );
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
};
