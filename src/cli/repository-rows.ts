import type { Role } from '../accounts/role.ts';
import type { Encryption } from '../borg/encryption.ts';
import { isBackupUnknown, laterBackupUntil } from '../borg/repository-state.ts';
import type { AccountStatus, ServerStatus } from '../control/server-status.ts';
import type { FailedSession } from '../sessions/failed-sessions.ts';
import type { KeptStates } from '../snapshots/kept-states.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { compareText } from '../text/order.ts';
import { printable } from '../text/printable.ts';
import type { Mark } from './mark.ts';
import { holdsOthers, lastOwnBackup, marksOf } from './repository-marks.ts';

/** A lock for a person or a program to read; printable. */
export type RowLock = {
  readonly kind: 'exclusive' | 'shared';
  /** An account, an address, or the host id where the lock is another server's. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
};

/** What the server keeps of it. */
export type RowSnapshots = {
  readonly count: number;
  /** When the newest was taken: milliseconds since the epoch. Null: there is none. */
  readonly newest: number | null;
  /** Bytes on the disk that the older ones hold, and the newest does not. */
  readonly olderHold: number;
  /** Whether nobody but root can change them. Null: unknown. */
  readonly protected: boolean | null;
};

/** One line of `borgserver status`, and one object of its JSON: the fields are promised to programs. Every text is printable. */
export type RepositoryRow = {
  /** The path below /repos. */
  readonly name: string;
  /** Null: no account has this name, or no server runs, so nobody knows. */
  readonly role: Role | null;
  readonly keys: number | null;
  /** Bytes, as borg counts them for a quota; null: unknown. */
  readonly bytes: number | null;
  /** Bytes that borg lets it use. Null: no limit. */
  readonly quota: number | null;
  /** Objects that borg stores, the manifest among them; null: unknown. */
  readonly objects: number | null;
  readonly encryption: Encryption | null;
  /** Milliseconds since the epoch. Null: there is none, or, with the mark `backup-unknown`, nobody knows. */
  readonly lastBackup: number | null;
  /** Until when a later one may have come. A compaction has left no trace of it. Null: there was none. */
  readonly laterBackupUntil: number | null;
  readonly locks: readonly RowLock[];
  /** Null: no server runs, so nobody knows. */
  readonly snapshots: RowSnapshots | null;
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

/** Sorted by name. A folder that only holds other repositories is left out: they have lines of their own. */
export const repositoryRows = (surveyed: readonly Surveyed[], viewpoint: Viewpoint): readonly RepositoryRow[] => {
  const { server } = viewpoint;
  const accounts = new Map(server?.accounts.filter(({ role }) => role !== 'admin').map((each) => [each.name, each]));
  const lost = new Set(server?.findings.filter(({ code }) => code === 'repository-lost').map(({ file }) => file));
  const paths = new Set(surveyed.map(({ path }) => path));
  // A repository that is not there, for example because it could not be made, is reported at the folder of its account.
  const placeOf = (path: string): string => (paths.has(path) ? path : (path.split('/')[0] ?? ''));
  const failed = new Map(server?.failedSessions.map((each) => [placeOf(each.repository), each]));
  const kept = new Map(server?.snapshots.map((each) => [each.repository, each]));
  const marked = server?.snapshots.filter((each) => each.marked.length > 0) ?? [];
  const attacked = Map.groupBy(marked, (each) => placeOf(each.repository));
  const isLost = ({ path }: Surveyed): boolean => lost.has(`/repos/${path}`);
  const accountOf = (found: Surveyed) => (server ? (accounts.get(found.folder.name) ?? null) : undefined);
  const gone = [...accounts.values()].filter(({ name }) => !paths.has(name));
  const rows = surveyed
    .filter(
      (found) =>
        isLost(found) || failed.has(found.path) || attacked.has(found.path) || !holdsOthers(found, accountOf(found)),
    )
    .map((found) =>
      rowOf(found, accountOf(found), viewpoint, {
        lost: isLost(found),
        failed: failed.get(found.path),
        kept: kept.get(found.path),
        attacked: (attacked.get(found.path) ?? []).flatMap((each) => each.marked),
      }),
    );
  return gone.length === 0 ? rows : [...rows, ...gone.map(goneRow)].sort((a, b) => compareText(a.name, b.name));
};

/** Each full update makes a folder for an account without one. Until then the account is lost like its repository. */
const goneRow = ({ name, role, keys, quota }: AccountStatus): RepositoryRow => ({
  ...{ name, role, keys, quota, bytes: null, objects: null, encryption: null },
  ...{ lastBackup: null, laterBackupUntil: null, locks: [], snapshots: null },
  marks: [{ code: 'lost', level: 'error', text: 'GONE: it has no folder' }],
});

const rowSnapshots = (kept: KeptStates | undefined): RowSnapshots => ({
  ...{ count: kept?.count ?? 0, newest: kept?.newest ?? null },
  ...{ olderHold: kept?.olderHold ?? 0, protected: kept?.protected ?? null },
});

/** What the server says of it. */
type Told = {
  readonly lost: boolean;
  readonly failed: FailedSession | undefined;
  readonly kept: KeptStates | undefined;
  readonly attacked: KeptStates['marked'];
};

const rowOf = (
  found: Surveyed,
  account: AccountStatus | null | undefined,
  { server, now, staleAfter, nameHolder }: Viewpoint,
  { lost, failed, kept, attacked }: Told,
): RepositoryRow => {
  const repository = found.state?.kind === 'repository' ? found.state : null;
  // The quota that borg serve gets comes before the one in the repository's config.
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
    snapshots: server && rowSnapshots(kept),
    marks: marksOf(found, {
      account,
      lost,
      failed,
      unkept: kept?.failing ?? null,
      attacked,
      puid: server?.puid,
      shared: server?.identities === 'shared',
      quota,
      now,
      staleAfter,
    }),
  };
};
