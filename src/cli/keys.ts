import type { ListedKey } from '../accounts/key-list.ts';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import { ago } from '../text/duration.ts';
import { renderTable } from './table.ts';

/**
 * `borgserver keys`: every key that opens an account.
 *
 * @returns the exit code: 0, or 2 where no server runs
 */
export const runKeys = async (places: Places, options: { readonly json: boolean }): Promise<number> => {
  const keys = await askServer(places.run, { command: 'keys' });
  if (!keys) {
    console.error('no server runs here');
    return 2;
  }
  console.log(options.json ? JSON.stringify(keys) : keysText(keys, new Date(), process.stdout.columns));
  return 0;
};

/** The table. Ages are counted up to `now`. */
export const keysText = (keys: readonly ListedKey[], now: Date, width?: number): string => {
  if (keys.length === 0) return 'No key opens any account.';
  const rows = keys.map((key) => [
    key.account,
    key.role,
    seenText(key, now),
    key.fingerprint,
    notesOf(key).join(', ') || '-',
    key.comment,
  ]);
  return renderTable(['ACCOUNT', 'ROLE', 'LAST LOGIN', 'FINGERPRINT', 'NOTES', 'COMMENT'], rows, width);
};

const seenText = ({ lastSeen }: ListedKey, now: Date): string => {
  if (!lastSeen) return 'never';
  return `${ago(Date.parse(lastSeen.at), now.getTime())}, ${lastSeen.address}`;
};

const notesOf = ({ options, expired, alsoOpens }: ListedKey): string[] => [
  ...(expired ? ['EXPIRED'] : []),
  ...(alsoOpens.length > 0 ? [`also opens ${alsoOpens.join(' ')}`] : []),
  ...(options.from === undefined ? [] : [`from=${options.from}`]),
  ...(options.expiryTime === undefined ? [] : [`expires ${options.expiryTime}`]),
  ...(options.verifyRequired ? ['verify-required'] : []),
];
