import { compareText } from '../text/order.ts';
import type { AuthorizedKey } from './authorized-key.ts';
import type { Directives } from './directives.ts';
import type { AccountName } from './name.ts';
import type { Role } from './role.ts';

/** A key as the machine holds it. Only those who read the tree know where the operator wrote it. */
export type GrantedKey = Omit<AuthorizedKey, 'file' | 'line'> & Partial<Pick<AuthorizedKey, 'file' | 'line'>>;

/** One login: what the account database and the authorized keys say of it together. */
export type Account<Key extends GrantedKey = GrantedKey> = Directives & {
  readonly name: AccountName;
  readonly role: Role;
  /** A repository account has its own uid. Every admin has PUID, and with IDENTITIES=shared everybody has it. */
  readonly uid: number;
  readonly keys: readonly Key[];
};

/** Every account, sorted by name, so that equal states are written as equal bytes. */
export type State<Key extends GrantedKey = GrantedKey> = ReadonlyMap<AccountName, Account<Key>>;

/** Builds a state, sorted by name. The order of the input does not matter. */
export const stateOf = <Key extends GrantedKey>(accounts: Iterable<Account<Key>>): State<Key> =>
  new Map([...accounts].sort((a, b) => compareText(a.name, b.name)).map((account) => [account.name, account]));

/** The account of this name. The name may be any text, or null: a client, a folder or an earlier state may have given it. */
export const accountNamed = <Value>(state: ReadonlyMap<string, Value>, name: string | null): Value | undefined =>
  name === null ? undefined : state.get(name);
