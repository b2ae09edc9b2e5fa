import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isTooFull } from '../borg/disk-floor.ts';
import { readHostId } from '../borg/host-id.ts';
import { findLockOwner, type LockOwner } from '../borg/lock-owner.ts';
import { askServer } from '../control/client.ts';
import type { ServerStatus } from '../control/server-status.ts';
import { failureInLines } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { vanishedRepositories } from '../start/vanished.ts';
import { surveyWithRecord } from '../survey/archive-record.ts';
import { readDiskSpaces } from '../survey/disk-spaces.ts';
import { readDuration } from '../text/duration.ts';
import { colouring } from './colours.ts';
import { repositoryRows } from './repository-rows.ts';
import { raisesAlarm, type Status, spaceOf, staleNames, statusText } from './status-text.ts';

/** If the server hangs, this must not hang too. */
const PATIENCE_MS = 10_000;

export type StatusOptions = { readonly json: boolean; readonly staleAfter?: string };

/**
 * `borgserver status`: the server, and every repository with what is wrong with it. It works without a server too; then nothing
 * is known of accounts and keys.
 *
 * @returns the exit code: 0; 1 if a repository had no backup for longer than the limit, its last session failed through the server's fault, it was
 *   gone, cannot be read or used, all of them have vanished, or a disk is read-only or too full for new data, a compaction or a lock; 2 where
 *   nothing is known
 */
export const runStatus = async (places: Places, options: StatusOptions): Promise<number> => {
  const given = options.staleAfter === undefined ? null : readDuration(options.staleAfter);
  if (typeof given === 'string') {
    console.error(`borgserver: --stale-after ${given}`);
    return 2;
  }
  // Even if the server does not answer, the repositories can be looked at.
  const server = await askServer(places.run, { command: 'status' }, PATIENCE_MS).catch((error: unknown) => {
    console.error(`borgserver: ${failureInLines(error)}`);
    return null;
  });
  const now = Date.now();
  const surveyed = surveyWithRecord(places);
  const minFree = server?.minFree ?? requireSettings(process.env).MIN_FREE;
  const status: Status = {
    server,
    vanished: vanishedRepositories(places),
    disks: readDiskSpaces(places.repos, minFree, surveyed),
    repositories: repositoryRows(surveyed, {
      ...{ server, now, staleAfter: given ?? defaultLimit(server) },
      nameHolder: holderNames(places, server),
    }),
  };
  const text = colouring(process.stdout, process.env);
  console.log(options.json ? statusJson(status) : statusText(status, now, text, process.stdout.columns));
  const disks = status.disks.some(({ state, readOnly }) => isTooFull(state) || readOnly);
  return status.repositories.some(raisesAlarm) || disks || status.vanished !== null ? 1 : 0;
};

/** One JSON object. Programs can rely on its fields. */
export const statusJson = (status: Status): string =>
  JSON.stringify({ ...status, space: spaceOf(status), stale: staleNames(status.repositories) });

const defaultLimit = (server: ServerStatus | null): number =>
  server ? (server.staleAfter ?? Infinity) : requireSettings(process.env).STALE_AFTER;

/** A lock of this server's names its process, and so the account and the address that it logged in from. */
const holderNames = (places: Places, server: ServerStatus | null) => {
  const own = existsSync(join(places.state, 'host-id')) ? readHostId(places) : null;
  return (host: string, pid: number): string => {
    if (host !== own) return host;
    const owner = findLockOwner(pid);
    if (!owner) return 'a process that is gone';
    const name = server?.identities === 'shared' ? nameByRestriction(places, owner) : nameByUid(server, owner);
    return owner.address === null ? name : `${name} from ${owner.address}`;
  };
};

const nameByUid = (server: ServerStatus | null, owner: LockOwner): string => {
  const account = server?.accounts.find(({ uid }) => uid === owner.uid);
  return account?.role === 'admin' ? 'an admin' : (account?.name ?? `uid ${owner.uid}`);
};

/** Everybody has one uid. A tenant is known by the folder that the session is restricted to. */
const nameByRestriction = ({ repos }: Places, { restrictedTo }: LockOwner): string => {
  if (restrictedTo === null) return 'borg on the server';
  return restrictedTo === repos ? 'an admin' : basename(restrictedTo);
};
