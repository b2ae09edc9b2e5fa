import { type Account, type State, stateOf } from './account.ts';
import type { AuthorizedKey } from './authorized-key.ts';
import { mergeDeclarations } from './conflict.ts';
import type { Declaration } from './declaration.ts';
import { sameDirectives } from './directives.ts';
import { compareFindings, errorAt, type Finding, isConflict, warningAt } from './finding.ts';
import { foreignFindings, mayBeHandedOver } from './foreign-files.ts';
import { assignIdentities, type IdentityPolicy, type Registry, shareIdentity, type UidRange } from './identity.ts';
import { setLeftoversAside } from './leftover.ts';
import { lostRepository, NO_REPOSITORIES, trackRepositories } from './lost-repository.ts';
import { type AccountName, SINGLE_USER } from './name.ts';
import { REPOSITORY_MODE, type RepositoryFolder } from './repository-folder.ts';
import { ROLES, type Role } from './role.ts';

export type StopOn = 'conflicts' | 'errors' | 'nothing';

export type Circumstances = {
  readonly declaration: Declaration;
  readonly folders: readonly RepositoryFolder[];
  readonly registry: Registry;
  readonly running: State;
  readonly puid: number;
  readonly uidRange: UidRange;
  /** If left out, each account has an identity of its own. */
  readonly identities?: IdentityPolicy;
  /** Numeric ids of the machine's own accounts and groups. */
  readonly takenIds: ReadonlySet<number>;
  readonly stopOn: StopOn;
  /** Names of lost repositories whose loss the operator has confirmed. */
  readonly confirmed?: ReadonlySet<string> | undefined;
};

/** What has to be done to a repository folder before its account may log in. */
export type Preparation = {
  readonly name: AccountName;
  readonly uid: number;
  /** The folder's group. If left out: the private group, which has the same number as the uid. */
  readonly gid?: number;
  /** The file system keeps no owners and modes: the folder is only made. */
  readonly asMounted?: true;
  readonly action: 'create' | 'adopt' | 'repair-mode' | 'repair-owners';
  readonly reason: string;
};

export type Desired = {
  readonly accounts: State<AuthorizedKey>;
  readonly preparations: readonly Preparation[];
  readonly findings: readonly Finding[];
  readonly registry: Registry;
  /** The findings forbid to apply this. Only what is in both the running and the desired state may stay. */
  readonly stopped: boolean;
};

/**
 * The state of the machine as a function of what is declared, what is on disk and what is remembered. Pure and sorted. Equal
 * input gives an equal result, in whatever order it comes.
 */
export const desire = (given: Circumstances): Desired => {
  const { folders, running } = given;
  const { declaration, remembered } = setLeftoversAside(given.declaration, given);
  const merged = mergeDeclarations(declaration, running);
  const early = [...declaration.findings, ...merged.findings];
  const stopped = mustStop(early, given.stopOn);

  // A name that is declared in two ways is closed. But if the pass is stopped, it takes part in the intersection.
  const declared = merged.accounts.filter(
    (account) => account.keys.length > 0 && (stopped || !merged.conflicting.has(account.name)),
  );
  const entries = new Map(folders.map((folder) => [folder.name, folder]));
  const blocked = declared.filter((account) => account.role !== 'admin' && entries.get(account.name)?.kind === 'other');
  const blockedNames = new Set<string>(blocked.map((account) => account.name));
  const tenants = declared.filter((account) => account.role !== 'admin' && !blockedNames.has(account.name));

  const names = tenants.map(({ name }) => name);
  const policy = given.identities ?? { kind: 'own' };
  const identities =
    policy.kind === 'shared'
      ? shareIdentity(names, given.registry, given.puid)
      : assignIdentities(names, folders, given.registry, given.uidRange, given.takenIds);
  const accounts: Account<AuthorizedKey>[] = declared.flatMap((account) => {
    const uid = account.role === 'admin' ? given.puid : identities.uids.get(account.name);
    return uid === undefined || blockedNames.has(account.name) ? [] : [asItRuns({ ...account, uid }, running)];
  });

  const late = [
    ...blocked.map(({ name }) => notAFolder(name)),
    ...identities.without.map((name) => noFreeUid(name, given.uidRange)),
    ...appendOnlyKeysOfAdmins(accounts),
  ];
  const known = given.registry.repositories ?? NO_REPOSITORIES;
  const repositories = trackRepositories(known, {
    ...{ folders, declared: new Set(names), confirmed: given.confirmed },
    isWhole: ROLES.every((role) => declaration.folders[role] === 'read'),
  });
  const lost = new Set(repositories.lost);
  const openLosses = names.filter((name) => lost.has(name)).map(lostRepository);
  const foreign = foreignFindings(folders, new Set(names), given.puid);
  const findings = [...early, ...late, ...openLosses, ...foreign].sort(compareFindings);
  return {
    accounts: stateOf(accounts),
    preparations: accounts.flatMap((account) =>
      account.role === 'admin' ? [] : prepare(account, entries.get(account.name), policy, lost),
    ),
    findings,
    registry: {
      ...identities.registry,
      ...(repositories !== NO_REPOSITORIES && { repositories }),
      roles: ROLES.filter((role) => knownRole(role, accounts, declaration, given.registry)),
      ...(remembered.length > 0 && { leftovers: remembered }),
    },
    // A repository that is gone is no error in the key tree. It must not keep the others from their updates.
    stopped: stopped || mustStop([...early, ...late], given.stopOn),
  };
};

/** An account that runs with exactly these values is returned as the same object. Most accounts have not changed, so nothing more is compared. */
const asItRuns = (account: Account<AuthorizedKey>, running: State): Account<AuthorizedKey> => {
  const runs = running.get(account.name);
  const isSame =
    runs?.keys === account.keys &&
    runs.role === account.role &&
    runs.uid === account.uid &&
    sameDirectives(runs, account);
  return isSame ? (runs as Account<AuthorizedKey>) : account;
};

/** What the tree still says of the running accounts, as far as that is known without the owners of the folders. */
export const stillDeclared = (declaration: Declaration, running: State): State<AuthorizedKey> =>
  stateOf(
    mergeDeclarations(setLeftoversAside(declaration, { running }).declaration, running).accounts.flatMap((account) => {
      const runs = running.get(account.name);
      return runs && account.keys.length > 0 ? [{ ...account, uid: runs.uid }] : [];
    }),
  );

const mustStop = (findings: readonly Finding[], stopOn: StopOn): boolean =>
  stopOn !== 'nothing' &&
  findings.some((finding) => isConflict(finding) || (stopOn === 'errors' && finding.severity === 'error'));

/** BORG_SSHKEYS alone says nothing about the folder admins/. What could not be read stays as it was. */
const knownRole = (role: Role, accounts: readonly Account[], declaration: Declaration, registry: Registry): boolean =>
  declaration.folders[role] === 'read'
    ? accounts.some((account) => account.role === role && account.name !== SINGLE_USER)
    : registry.roles.includes(role);

const prepare = (
  account: Account,
  folder: RepositoryFolder | undefined,
  policy: IdentityPolicy,
  lost: ReadonlySet<string>,
): Preparation[] => {
  const { name, uid } = account;
  const shared = policy.kind === 'shared' ? policy : null;
  const gid = shared?.pgid ?? uid;
  const asMounted = shared?.keepsOwners === false;
  const who = { name, uid, ...(shared && { gid }), ...(asMounted && { asMounted }) };
  if (!folder) {
    const reason = lost.has(name)
      ? "the account's repository folder is GONE"
      : 'the account has no repository folder yet';
    return [{ ...who, action: 'create', reason }];
  }
  if (asMounted) return [];
  if (folder.uid !== uid || folder.gid !== gid) {
    return [
      {
        ...who,
        action: 'adopt',
        reason: `the folder belongs to ${folder.uid}:${folder.gid}, not to its account (${uid}:${gid})`,
      },
    ];
  }
  if (folder.mode === REPOSITORY_MODE) {
    if (!folder.foreign || !mayBeHandedOver(folder.foreign)) return [];
    return [
      { ...who, action: 'repair-owners', reason: `it has files that are not its account's: ${folder.foreign.text}` },
    ];
  }
  const [found, wanted] = [folder.mode.toString(8), REPOSITORY_MODE.toString(8)];
  return [{ ...who, action: 'repair-mode', reason: `the folder has mode ${found}, not ${wanted}` }];
};

const notAFolder = (name: AccountName): Finding =>
  errorAt(
    `/repos/${name}`,
    'repository-not-a-folder',
    'this is a link or a file, not a folder; the account is closed',
    'move it away; a repository is a real folder directly in /repos',
  );

const noFreeUid = (name: AccountName, range: UidRange): Finding =>
  errorAt(
    `/repos/${name}`,
    'no-free-uid',
    `no uid is left for this account in UID_RANGE (${range.first}-${range.last})`,
    'widen UID_RANGE, or move repositories that nobody needs out of /repos',
  );

/** An append-only key that is also an admin's key protects nothing: whoever steals it deletes as admin. */
const appendOnlyKeysOfAdmins = (accounts: readonly Account<AuthorizedKey>[]): Finding[] => {
  const admins = new Map(
    accounts.filter(({ role }) => role === 'admin').flatMap(({ name, keys }) => keys.map((key) => [key.blob, name])),
  );
  return accounts
    .filter(({ role }) => role === 'append-only')
    .flatMap(({ keys }) => keys)
    .filter((key) => admins.has(key.blob))
    .map((key) =>
      warningAt(
        key,
        'append-only-key-is-admin',
        `this key (${key.fingerprint}) is also the admin ${admins.get(key.blob)}'s, who may delete everything`,
        'use a key of its own for the append-only account',
      ),
    );
};
