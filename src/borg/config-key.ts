import { isWholeMap } from './msgpack-map.ts';

/**
 * Whether the key in the config of a repokey repository is cut off. It is base64 of a map of msgpack (borg/crypto/key.py,
 * EncryptedKey), folded into indented lines. borg opens such a repository, and every client ends with a Python traceback.
 *
 * @param text of a repository's config
 * @returns false where there is no key, or one of an unknown form
 */
export const isKeyCutOff = (text: string): boolean => {
  const digits = keyIn(text);
  if (digits === null || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) return false;
  const bytes = Buffer.from(digits, 'base64');
  return ((bytes[0] ?? 0) & 0xf0) === 0x80 && !isWholeMap(bytes);
};

/** The key in it, without the folds; null where there is none. */
export const keyIn = (text: string): string | null => {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => /^key\s*[=:]/i.test(line));
  if (at === -1) return null;
  const behind = lines.slice(at + 1);
  const end = behind.findIndex((line) => !/^\s+\S/.test(line));
  const folded = [(lines[at] ?? '').replace(/^key\s*[=:]/i, ''), ...behind.slice(0, end === -1 ? undefined : end)];
  return folded.map((line) => line.trim()).join('');
};
