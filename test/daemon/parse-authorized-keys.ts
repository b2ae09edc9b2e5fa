import { parseLine } from '../../src/accounts/authorized-key-line.ts';
import type { AuthorizedKeysFile } from '../../src/host/authorized-keys.ts';

/** A file of authorized keys as the machine reads it. */
export const parseAuthorizedKeysText = (text: string): AuthorizedKeysFile => ({
  text,
  keys: text.split('\n').flatMap((line) => parseLine(line) ?? []),
});
