import { accountNamed, type State } from '../accounts/account.ts';
import { readExpiryTime } from '../accounts/expiry-time.ts';
import { fromAllows } from './from-allows.ts';
import type { OptionRefusal, Refusal } from './strangers.ts';

/** One key may open a thousand accounts: only a few are named. */
const MOST_OPENED = 3;

/**
 * Why a key of the account did not let its client in. It is looked up in what the server has granted: sshd's words for it change with each
 * release, and the oldest releases do not say which option it was.
 *
 * @param now milliseconds since the epoch
 * @returns null where no option of the key refuses it, or the account has no such key
 */
export const refusedByOption = (
  state: State,
  login: { readonly user: string; readonly fingerprint: string; readonly address: string | null },
  now: number,
): Exclude<OptionRefusal, 'key-options'> | null => {
  const key = accountNamed(state, login.user)?.keys.find(({ fingerprint }) => fingerprint === login.fingerprint);
  if (!key) return null;
  const { from, expiryTime } = key.options;
  if (from !== undefined && login.address !== null && !fromAllows(from, login.address)) return 'not-from';
  const expiry = expiryTime === undefined ? null : readExpiryTime(expiryTime);
  return expiry && expiry.getTime() < now ? 'expired' : null;
};

/** Says which accounts the offered keys do open, where the account that was asked for is not among them. Mostly a URL has a wrong name. */
export const withOpened = (refusal: Refusal, state: State): Refusal => {
  if (refusal.fingerprints.length === 0) return refusal;
  const owners = ownersOf(state);
  const opens = [...new Set(refusal.fingerprints.flatMap((each) => owners.get(each) ?? []))];
  const asked = accountNamed(state, refusal.asked);
  // Where very many accounts share a key, only a few are in the list.
  const isRight = asked?.keys.some(({ fingerprint }) => refusal.fingerprints.includes(fingerprint)) === true;
  if (opens.length === 0 || isRight) return refusal;
  return { ...refusal, opens: opens.slice(0, MOST_OPENED) };
};

/** Made once for each state, and only when somebody is refused: strangers may come by the hundred. */
const known = new WeakMap<State, ReadonlyMap<string, readonly string[]>>();

const ownersOf = (state: State): ReadonlyMap<string, readonly string[]> => {
  const earlier = known.get(state);
  if (earlier) return earlier;
  const owners = new Map<string, string[]>();
  for (const { name, keys } of state.values())
    for (const { fingerprint } of keys) {
      const names = owners.get(fingerprint);
      if (!names) owners.set(fingerprint, [name]);
      else if (names.length < MOST_OPENED) names.push(name);
    }
  known.set(state, owners);
  return owners;
};
