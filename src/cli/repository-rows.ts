import type { Role } from '../accounts/role.ts';
import type { Encryption } from '../borg/encryption.ts';
import { isBackupUnknown, laterBackupUntil } from '../borg/repository-state.ts';
import type { AccountStatus, ServerStatus } from '../control/server-status.ts';
import type { FailedSession } from '../sessions/failed-sessions.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { compareText } from '../text/order.ts';
import { printable } from '../text/printable.ts';
import type { Mark } from './mark.ts';
import { holdsOthers, lastOwnBackup, marksOf } from './repository-marks.ts';

/** A lock as a person or a program reads it; printable. */
export type RowLock = {
  readonly kind: 'exclusive' | 'shared';
  /** An account, an address, or the host id of somebody else's. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
};

/** One line of `borgserver status`, and one object of its JSON: the fields are promised to programs. Every text is printable. */
export type RepositoryRow = {
  /** The path below /repos. */
  readonly name: string;
  /** Null: no account has this name, or no server runs that could tell. */
  readonly role: Role | null;
  readonly keys: number | null;
  /** Bytes, as borg counts them for a quota; null: unknown. */
  readonly bytes: number | null;
  /** Bytes that borg lets it use; null: no end. */
  readonly quota: number | null;
  /** Objects that borg stores, the manifest among them; null: unknown. */
  readonly objects: number | null;
  readonly encryption: Encryption | null;
  /** Milliseconds since the epoch; null: there is none, or with the mark `backup-unknown` it cannot be told. */
  readonly lastBackup: number | null;
  /** Until when a later one may have come, of which a compaction has left no trace; null: there was none. */
  readonly laterBackupUntil: number | null;
  readonly locks: readonly RowLock[];
  readonly marks: readonly Mark[];
};

export type Viewpoint = {
  /** Null: no server runs. */
  readonly server: ServerStatus | null;
  readonly now: number;
  /** Seconds. */
  readonly staleAfter: number;
  /** Who holds a lock, in words. */
  readonly nameHolder: (host: string, pid: number) => string;
};

/** Sorted by name. A folder that only holds repositories of its own is left out: they have their lines. */
export const repositoryRows = (surveyed: readonly Surveyed[], viewpoint: Viewpoint): readonly RepositoryRow[] => {
  const { server } = viewpoint;
  const accounts = new Map(server?.accounts.filter(({ role }) => role !== 'admin').map((each) => [each.name, each]));
  const lost = new Set(server?.findings.filter(({ code }) => code === 'repository-lost').map(({ file }) => file));
  const paths = new Set(surveyed.map(({ path }) => path));
  // One that is not there, such as a repository that could not be made, is told at the folder of its account.
  const placeOf = (path: string): string => (paths.has(path) ? path : (path.split('/')[0] ?? ''));
  const failed = new Map(server?.failedSessions.map((each) => [placeOf(each.repository), each]));
  const isLost = ({ path }: Surveyed): boolean => lost.has(`/repos/${path}`);
  const accountOf = (found: Surveyed) => (server ? (accounts.get(found.folder.name) ?? null) : undefined);
  const gone = [...accounts.values()].filter(({ name }) => !paths.has(name));
  const rows = surveyed
    .filter((found) => isLost(found) || failed.has(found.path) || !holdsOthers(found, accountOf(found)))
    .map((found) => rowOf(found, accountOf(found), viewpoint, isLost(found), failed.get(found.path)));
  return gone.length === 0 ? rows : [...rows, ...gone.map(goneRow)].sort((a, b) => compareText(a.name, b.name));
};

/** An account without a folder has one made by each full update: until then it is as lost as its repository. */
const goneRow = ({ name, role, keys, quota }: AccountStatus): RepositoryRow => ({
  ...{ name, role, keys, quota, bytes: null, objects: null, encryption: null },
  ...{ lastBackup: null, laterBackupUntil: null, locks: [] },
  marks: [{ code: 'lost', level: 'error', text: 'GONE: it has no folder' }],
});

const rowOf = (
  found: Surveyed,
  account: AccountStatus | null | undefined,
  { server, now, staleAfter, nameHolder }: Viewpoint,
  lost: boolean,
  failed: FailedSession | undefined,
): RepositoryRow => {
  const repository = found.state?.kind === 'repository' ? found.state : null;
  // Whatever is told to borg serve comes before what the repository's config says.
  const quota = account?.quota ?? repository?.config.quota ?? null;
  return {
    name: printable(found.path),
    role: account?.role ?? null,
    keys: account?.keys ?? null,
    bytes: repository?.bytes ?? null,
    quota,
    objects: repository?.objects ?? null,
    encryption: repository?.encryption ?? null,
    lastBackup: repository && isBackupUnknown(repository) ? null : lastOwnBackup(found, account),
    laterBackupUntil: repository && laterBackupUntil(repository),
    locks: (repository?.locks ?? []).map(({ kind, host, pid, since }) => ({
      ...{ kind, since, by: printable(nameHolder(host, pid), 60) },
    })),
    marks: marksOf(found, {
      account,
      lost,
      failed,
      puid: server?.puid,
      shared: server?.identities === 'shared',
      quota,
      now,
      staleAfter,
    }),
  };
};
