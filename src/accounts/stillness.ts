import { type Account, accountNamed, type GrantedKey, type State, stateOf } from './account.ts';
import type { AuthorizedKey } from './authorized-key.ts';
import type { Declaration } from './declaration.ts';
import { sameDirectives } from './directives.ts';
import type { IdentityPolicy } from './identity.ts';
import type { AccountName } from './name.ts';
import { losers } from './narrow.ts';
import { NO_ROLE_QUOTAS, type RoleQuotas } from './quota.ts';

/** How long the files of an account must be unchanged before a loss counts: `cp`, editors and `>>` truncate before they write. */
export const STILLNESS_MS = 200;
/** A file that never stops changing must not keep its old keys for ever. */
export const PATIENCE_MS = 2000;

/** Losses that wait, by account: when each was first seen, and since when its files look as they do now. Milliseconds of a steady clock. */
export type Waiting = ReadonlyMap<string, Wait>;
type Wait = { readonly first: number; readonly since: number; readonly files: string };

export type Withheld = {
  readonly accounts: State;
  readonly waiting: Waiting;
  /** Milliseconds until the next loss may count, or null if none waits. */
  readonly recheckIn: number | null;
};

/**
 * Lets an event-driven pass take away only what has been gone for a while. An account whose loss has to wait keeps all that it
 * has, and gets new keys at once. Other accounts do not wait for it.
 */
export const withholdLosses = (
  running: State,
  wanted: State<AuthorizedKey>,
  declaration: Declaration,
  before: Waiting,
  now: number,
  quotas: RoleQuotas = NO_ROLE_QUOTAS,
  identities: IdentityPolicy['kind'] = 'own',
): Withheld => {
  const lost = losers(running, wanted, quotas);
  if (lost.size === 0) return { accounts: wanted, waiting: new Map(), recheckIn: null };
  const versions = filesOf(declaration, lost);
  const waiting = new Map<string, Wait>();
  const accounts = new Map<AccountName, Account>(wanted);
  const owners = new Map(
    [...wanted.values()].filter(({ role }) => role !== 'admin').map(({ uid, name }) => [uid, name]),
  );
  let recheckIn: number | null = null;
  for (const name of lost) {
    const had = accountNamed(running, name);
    // A renamed repository takes its uid along: two accounts must never have one uid, not even for a moment.
    if (!had || (identities === 'own' && (owners.get(had.uid) ?? name) !== name)) continue;
    const files = versions.get(name) ?? '';
    const earlier = before.get(name);
    const first = earlier?.first ?? now;
    const since = earlier?.files === files ? earlier.since : now;
    const wait = { first, since, files };
    if (now >= dueOf(wait)) continue;
    waiting.set(name, wait);
    recheckIn = Math.min(recheckIn ?? Infinity, dueOf(wait) - now);
    accounts.set(had.name, { ...had, keys: [...had.keys, ...gained(had, wanted.get(had.name))] });
  }
  return { accounts: stateOf(accounts.values()), waiting, recheckIn };
};

/**
 * The losses that have waited long enough. It looks only at their own files: a decision about them is valid as long as these
 * files look as they did then. If not every role folder could be looked at, there are none.
 */
export const overdue = (waiting: Waiting, declaration: Declaration, now: number): ReadonlySet<string> => {
  if (Object.values(declaration.folders).some((state) => state !== 'read')) return new Set();
  const files = filesOf(declaration, waiting);
  const due = [...waiting].filter(([name, wait]) => now >= dueOf(wait) && (files.get(name) ?? '') === wait.files);
  return new Set(due.map(([name]) => name));
};

const dueOf = ({ first, since }: Wait): number => Math.min(since + STILLNESS_MS, first + PATIENCE_MS);

/** What the files of some accounts look like, as one text for each account. */
const filesOf = (
  { accounts }: Declaration,
  names: { readonly has: (name: string) => boolean },
): ReadonlyMap<string, string> => {
  const versions = new Map<string, string>();
  for (const { name, file, version } of accounts) {
    if (names.has(name)) versions.set(name, `${versions.get(name) ?? ''}${file} ${version};`);
  }
  return versions;
};

/** The keys that are new. None where role, uid or directives change too: a new key must not get rights that are about to go. */
const gained = (had: Account, wants: Account | undefined): readonly GrantedKey[] => {
  if (!wants || wants.role !== had.role || wants.uid !== had.uid || !sameDirectives(had, wants)) return [];
  const blobs = new Set(had.keys.map((key) => key.blob));
  return wants.keys.filter((key) => !blobs.has(key.blob));
};
