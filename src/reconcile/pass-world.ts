import type { State } from '../accounts/account.ts';
import type { Declaration } from '../accounts/declaration.ts';
import type { Desired } from '../accounts/desired.ts';
import type { Finding } from '../accounts/finding.ts';
import type { IdentityPolicy, Registry } from '../accounts/identity.ts';
import type { RoleQuotas } from '../accounts/quota.ts';
import type { RepositoryFolder } from '../accounts/repository-folder.ts';
import type { Machine } from '../host/machine.ts';
import type { Settings } from '../settings.ts';

/** What a pass reads and changes. main connects the real machine; a scenario connects a scratch root. */
export type PassWorld = {
  readonly settings: Pick<Settings, 'PUID' | 'UID_RANGE' | 'STOP_ON'>;
  /** If left out, each account has an identity of its own. */
  readonly identities?: IdentityPolicy;
  readonly machine: Machine;
  /** The quotas of the roles. They count where a key file says nothing. None if left out. */
  readonly roleQuotas?: RoleQuotas;
  /** @param changed the accounts whose files are looked at; the others count as they were last read. All, if left out */
  readonly readDeclaration: (changed?: ReadonlySet<string>) => Declaration;
  /** @param known folders that are not looked at again, as long as they are there */
  readonly scanRepositories: (known?: ReadonlyMap<string, RepositoryFolder>) => readonly RepositoryFolder[];
  readonly readRegistry: () => Registry;
  readonly writeRegistry: (registry: Registry) => void;
  /** Numeric ids of the machine's own accounts and groups. */
  readonly takenIds: () => ReadonlySet<number>;
  /** What else is wrong with the machine, but does not stop a pass. Never throws. Nothing, if left out. */
  readonly troubles?: () => readonly Finding[];
  readonly prepareRepositories: (desired: Desired['preparations'], signal: AbortSignal) => Promise<readonly Finding[]>;
  /** Called as soon as the losses are gone from the machine, and again at the end, with what may be connected. */
  readonly onAccess: (state: State) => void;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
};
