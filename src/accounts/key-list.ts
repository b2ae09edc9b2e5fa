import type { State } from './account.ts';
import type { NarrowingOptions } from './authorized-key.ts';
import { readExpiryTime } from './expiry-time.ts';
import type { LastSeen } from './last-seen.ts';
import type { Role } from './role.ts';

/** One key of one account, with everything that an operator wants to know of it. */
export type ListedKey = {
  readonly account: string;
  readonly role: Role;
  readonly type: string;
  readonly fingerprint: string;
  readonly comment: string;
  readonly options: NarrowingOptions;
  readonly file: string | null;
  readonly line: number | null;
  readonly lastSeen: { readonly at: string; readonly address: string } | null;
  readonly expired: boolean;
  /** Other accounts that the same key opens. */
  readonly alsoOpens: readonly string[];
};

/** Every key that is granted, by account. */
export const listKeys = (state: State, seen: readonly LastSeen[], now: Date): readonly ListedKey[] => {
  const last = new Map(
    seen.map((each) => [`${each.account} ${each.fingerprint}`, { at: each.at, address: each.address }]),
  );
  const owners = new Map<string, string[]>();
  for (const { name, keys } of state.values()) {
    for (const { blob } of keys) owners.set(blob, [...(owners.get(blob) ?? []), name]);
  }
  return [...state.values()].flatMap(({ name, role, keys }) =>
    keys.map(({ type, fingerprint, comment, options, file, line, blob }) => ({
      ...{ account: name, role, type, fingerprint, comment, options, file: file ?? null, line: line ?? null },
      lastSeen: last.get(`${name} ${fingerprint}`) ?? null,
      expired: isExpired(options, now),
      alsoOpens: (owners.get(blob) ?? []).filter((other) => other !== name),
    })),
  );
};

const isExpired = ({ expiryTime }: NarrowingOptions, now: Date): boolean => {
  const expiry = expiryTime === undefined ? null : readExpiryTime(expiryTime);
  return expiry !== null && now > expiry;
};
