import { type Account, accountNamed, type State } from '../accounts/account.ts';
import { readExpiryTime } from '../accounts/expiry-time.ts';
import { narrowerRole } from '../accounts/role.ts';
import { fromAllows } from './from-allows.ts';
import type { Session } from './session.ts';

type Admission = Pick<Session, 'account' | 'role' | 'uid' | 'subRepositories' | 'fingerprint' | 'address'>;

/**
 * Why a session may not go on, or null if it may: what admitted it must still be in the state, and still admit it.
 *
 * @param now for expiry-time: sshd judges it in its own time zone, which is also ours
 */
export const reasonToEnd = (session: Admission, state: State, now: Date): string | null => {
  const account = accountNamed(state, session.account);
  if (!account) return 'its account is gone';
  if (session.role === null || session.uid === null) return 'its account was not there when it logged in';
  if (narrowerRole(session.role, account.role) !== session.role)
    return `its role ${session.role} became ${account.role}`;
  if (session.uid !== account.uid) return 'its account got another user id';
  if (session.subRepositories && !account.subRepositories) return 'its account may no longer have several repositories';
  const key = account.keys.find(({ fingerprint }) => fingerprint === session.fingerprint);
  if (!key) return 'its key is gone';
  if (key.options.from !== undefined && !fromAllows(key.options.from, session.address))
    return 'its address is no longer in from=';
  const expiry = key.options.expiryTime === undefined ? null : readExpiryTime(key.options.expiryTime);
  return expiry && now > expiry ? 'its key has expired' : null;
};

/** What is granted, and who has lost something of it lately. */
export type Granted = { readonly state: State; readonly losses: PrivilegeLosses };

/** Milliseconds since the epoch at which the next key of the state expires, or null. */
export const nextExpiry = (state: State, now: Date): number | null => {
  let next: number | null = null;
  for (const { keys } of state.values()) {
    for (const { options } of keys) {
      const expiry = options.expiryTime === undefined ? null : readExpiryTime(options.expiryTime);
      if (expiry && expiry > now) next = Math.min(next ?? Infinity, expiry.getTime());
    }
  }
  return next;
};

/** When each account last lost a privilege: in clock ticks since boot. */
export type PrivilegeLosses = ReadonlyMap<string, number>;

/**
 * Notes whose account is gone, has a narrower role, another user id or no longer several repositories.
 *
 * @param keepTicks how long a note is kept: LoginGraceTime and some more
 */
export const noteLosses = (
  before: State,
  after: State,
  notes: PrivilegeLosses,
  nowTicks: number,
  keepTicks: number,
): PrivilegeLosses => {
  const fresh = new Map([...notes].filter(([, ticks]) => nowTicks - ticks < keepTicks));
  for (const [name, had] of before) {
    const has = after.get(name);
    if (had !== has && loses(had, has)) fresh.set(name, nowTicks);
  }
  return fresh;
};

const loses = (had: Account, has: Account | undefined): boolean =>
  !has ||
  has.uid !== had.uid ||
  narrowerRole(had.role, has.role) !== had.role ||
  (had.subRepositories === true && !has.subRepositories);

/**
 * Whether sshd may have let a connection in with privileges that its account has lost since, even where sshd logged the login after the loss.
 * sshd reads role and user id when authentication *begins*; a client that waits with its signature is let in with what was true then, up to
 * LoginGraceTime later. The start of the connection's process shows that, the log line does not.
 */
export const mayHoldLostPrivileges = (account: string, startTicks: number, notes: PrivilegeLosses): boolean =>
  startTicks <= (notes.get(account) ?? -Infinity);
