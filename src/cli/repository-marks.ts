import { REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import { isReadable } from '../borg/encryption.ts';
import { isBackupUnknown, lastBackup, type RepositoryState } from '../borg/repository-state.ts';
import type { AccountStatus } from '../control/server-status.ts';
import { levelsText } from '../doctor/diagnose-too-deep.ts';
import type { FailedSession } from '../sessions/failed-sessions.ts';
import { FAILURES } from '../sessions/outcome.ts';
import { MARK_TEXTS } from '../snapshots/change-marks.ts';
import type { Failing } from '../snapshots/failing.ts';
import type { KeptStates } from '../snapshots/kept-states.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { ago, renderDuration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { sizeText } from '../text/size.ts';
import { foreignMarks } from './foreign-marks.ts';
import type { Mark, MarkCode } from './mark.ts';

export type Circumstances = {
  /** The account with this name. Null: there is none. Undefined: no server runs, so nobody knows. */
  readonly account: AccountStatus | null | undefined;
  readonly puid: number | undefined;
  /** Every folder is PUID's, or belongs to the owner that the mount says. Left out: each is its account's own. */
  readonly shared?: boolean;
  /** The server says that a repository was here, and its folder is gone. */
  readonly lost?: boolean;
  /** How its last session failed through the server's fault. */
  readonly failed?: FailedSession | undefined;
  /** Why no snapshot of it can be taken. */
  readonly unkept?: Failing | null;
  /** What has happened to it and looks like an attack, unseen. */
  readonly attacked?: KeptStates['marked'];
  /** Bytes. */
  readonly quota: number | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Seconds. */
  readonly staleAfter: number;
};

const NEAR = 0.9;
/** After so long without a snapshot a person has to look. */
const UNKEPT_MS = 24 * 3_600_000;
const HARMLESS: ReadonlySet<string> = new Set(['other-file-system', 'long-path']);

const warning = (code: MarkCode, text: string): Mark => ({ code, level: 'warning', text });
const error = (code: MarkCode, text: string): Mark => ({ code, level: 'error', text });

/**
 * When a client of the account last began a backup, milliseconds since the epoch. Null: there is none. A prune writes like a
 * backup, for example an admin's prune every night. But what was written after the account's last login was written by others,
 * and must not hide that its backups have stopped.
 */
export const lastOwnBackup = ({ state }: Surveyed, account: AccountStatus | null | undefined): number | null => {
  const last = state?.kind === 'repository' ? lastBackup(state) : null;
  if (last === null || !account || account.lastLogin === null || account.connected) return last;
  return Math.min(last, account.lastLogin);
};

/** Everything that is wrong with one repository, the worst first. */
export const marksOf = (found: Surveyed, given: Circumstances): readonly Mark[] => {
  if (found.state === null) return [error('not-a-folder', 'a link or a file, not a folder')];
  const owners = isOrphan(found, given) ? [] : foreignMarks(found, given.account);
  const marks = [...ownerMarks(found, given), ...owners, ...contentMarks(found, given), ...quotaMarks(found, given)];
  const lost = given.lost ? [error('lost', 'LOST: its folder was gone, and is a new one')] : [];
  const all = [
    ...lost,
    ...failedMarks(given),
    ...attackMarks(given),
    ...unkeptMarks(given),
    ...staleMarks(found, given),
    ...marks,
  ];
  return [...all.filter(({ level }) => level === 'error'), ...all.filter(({ level }) => level === 'warning')];
};

const failedMarks = ({ failed, now }: Circumstances): readonly Mark[] =>
  failed ? [error('failed', `FAILED ${ago(failed.at, now)}: ${FAILURES[failed.cause]}`)] : [];

/** Until `history NAME --seen`. */
const attackMarks = ({ attacked, now }: Circumstances): readonly Mark[] => {
  const [first] = attacked ?? [];
  if (!first) return [];
  const why = [...new Set((attacked ?? []).flatMap(({ marks }) => marks))].map((each) => MARK_TEXTS[each]).join('; ');
  return [error('looks-attacked', `LOOKS ATTACKED ${ago(first.at, now)}: ${why} (borgserver history says who)`)];
};

/** A disk of its own is how the operator wants it. Anything else may be somebody's doing: who writes where no borg does is at work just now. */
const unkeptMarks = ({ unkept, now }: Circumstances): readonly Mark[] => {
  if (!unkept) return [];
  const text = `no snapshot since ${renderDuration(Math.max(0, now - unkept.since) / 1000)}: ${unkept.why}`;
  const isBad = unkept.code === 'writable' || (!HARMLESS.has(unkept.code) && now - unkept.since > UNKEPT_MS);
  return [isBad ? error('no-snapshot', text) : warning('no-snapshot', text)];
};

/** A folder for which nobody has a key, and that no admin made: no backup can come any more. */
const isOrphan = ({ folder }: Surveyed, { account, puid }: Circumstances): boolean =>
  account === null && folder.uid !== puid;

const ownerMarks = (found: Surveyed, given: Circumstances): readonly Mark[] => {
  const { folder, nested } = found;
  const { account, shared } = given;
  if (account === undefined) return [];
  if (nested) {
    return account && !account.subRepositories ? [warning('nested', `nested in the folder of ${account.name}`)] : [];
  }
  const orphan = isOrphan(found, given);
  if (!account) {
    return [
      ...(folder.uid === 0 && !shared ? [error('wrong-owner', 'belongs to root')] : []),
      ...(orphan ? [warning('no-key', 'no key opens it')] : []),
    ];
  }
  // An update repairs what can be repaired there.
  if (shared) return [];
  if (folder.uid !== account.uid || folder.gid !== account.uid)
    return [error('wrong-owner', `belongs to ${folder.uid}:${folder.gid}, not to ${account.uid}:${account.uid}`)];
  return folder.mode === REPOSITORY_MODE
    ? []
    : [error('wrong-owner', `has mode ${octal(folder.mode)}, not ${octal(REPOSITORY_MODE)}`)];
};

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/**
 * Whether a folder is there to hold other repositories. For an account with one repository it is not: its own is missing, since `borg init`
 * refuses.
 */
export const holdsOthers = ({ state, damage }: Surveyed, account: Circumstances['account']): boolean =>
  !damage && state?.kind === 'foreign' && state.nested.length > 0 && (!account || account.subRepositories === true);

const noArchiveText = ({ lastArchive }: Extract<RepositoryState, { kind: 'repository' }>): string =>
  lastArchive?.foreign === undefined ? 'no archive' : 'no archive of its clients: root has written what is in it';

const tooDeepText = ({ path, state }: Surveyed): string => {
  const [first = '', ...others] = state?.kind === 'foreign' ? state.nested : [];
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `a repository lies ${levelsText(first)} too deep, in ${printable(`${path}/${first}`, 80)}${more}`;
};

const contentMarks = (found: Surveyed, given: Circumstances): readonly Mark[] => {
  const { state, damage } = found;
  if (damage) return [error('damaged', `DAMAGED: ${damage.text} (doctor says what brings it back)`)];
  switch (state?.kind) {
    case undefined:
      return [];
    case 'unreadable':
      return [error('unreadable', `cannot be read: ${printable(state.why)}`)];
    case 'empty':
      return [warning('never-initialised', 'never initialised')];
    case 'foreign':
      if (holdsOthers(found, given.account)) return [];
      return state.nested.length > 0
        ? [warning('too-deep', `never initialised: ${tooDeepText(found)} (doctor says how to move it)`)]
        : [warning('foreign-files', 'never initialised, and holds other files: borg init would refuse')];
    case 'repository':
      return [
        ...(lastBackup(state) === null ? [warning('no-archive', noArchiveText(state))] : []),
        ...(isBackupUnknown(state)
          ? [warning('backup-unknown', 'its last backup is not known: its data are not as borg writes them')]
          : []),
        ...(state.encryption && isReadable(state.encryption)
          ? [warning('not-encrypted', `not encrypted (${state.encryption})`)]
          : []),
        ...(state.config.appendOnly
          ? [warning('append-only-config', 'append_only in its config: delete and compact free nothing')]
          : []),
      ];
  }
};

/** Without any backup, the time since its folder was made counts. */
const staleMarks = (found: Surveyed, given: Circumstances): readonly Mark[] => {
  const { state, born, damage } = found;
  if (!state || damage || state.kind === 'unreadable' || isOrphan(found, given)) return [];
  if (holdsOthers(found, given.account)) return [];
  const age = (given.now - (lastOwnBackup(found, given.account) ?? born)) / 1000;
  return age > given.staleAfter ? [error('stale', `STALE: no backup for ${renderDuration(age)}`)] : [];
};

const quotaMarks = ({ state }: Surveyed, { quota }: Circumstances): readonly Mark[] => {
  if (state?.kind !== 'repository' || state.bytes === null || quota === null) return [];
  if (state.bytes > quota) return [error('over-quota', `over its quota of ${sizeText(quota)}`)];
  return state.bytes >= NEAR * quota ? [warning('near-quota', `near its quota of ${sizeText(quota)}`)] : [];
};
