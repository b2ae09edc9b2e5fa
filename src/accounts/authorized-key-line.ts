import { hash } from 'node:crypto';
import type { GrantedKey } from './account.ts';
import type { NarrowingOptions } from './authorized-key.ts';

/** The options as they are written before a key in authorized_keys, beginning with `restrict` (sshd(8), AUTHORIZED_KEYS). */
export const renderOptions = (options: NarrowingOptions): string =>
  [
    'restrict',
    ...(options.from === undefined ? [] : [`from="${options.from}"`]),
    ...(options.expiryTime === undefined ? [] : [`expiry-time="${options.expiryTime}"`]),
    ...(options.verifyRequired ? ['verify-required'] : []),
  ].join(',');

/** One line of an authorized_keys file, without its line end: options, type, blob, and the comment if there is one. */
export const renderLine = (key: GrantedKey): string =>
  `${renderOptions(key.options)} ${key.type} ${key.blob}${key.comment === '' ? '' : ` ${key.comment}`}`;

const LINE =
  /^restrict(?:,from="([^"\\]+)")?(?:,expiry-time="([0-9]+Z?)")?(,verify-required)? ([a-z0-9@.-]+) ([A-Za-z0-9+/]+=*)(?: ([\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,200}))?$/u;

/**
 * Reads back a line that renderLine wrote. Null if it differs from ours in one byte: then somebody else changed it. The line was
 * judged before it was written, so nothing is judged here.
 */
export const parseLine = (line: string): GrantedKey | null => {
  const match = LINE.exec(line);
  if (!match) return null;
  const [, from, expiryTime, verify, type = '', blob = '', comment = ''] = match;
  const key: GrantedKey = {
    ...{ type, blob, comment, fingerprint: fingerprintOf(Buffer.from(blob, 'base64')) },
    options: {
      ...(from !== undefined && { from }),
      ...(expiryTime !== undefined && { expiryTime }),
      ...(verify !== undefined && { verifyRequired: true as const }),
    },
  };
  return renderLine(key) === line && Buffer.from(blob, 'base64').toString('base64') === blob ? key : null;
};

/** SHA256:… of a key's wire format, as ssh-keygen -l prints it. */
export const fingerprintOf = (blob: Uint8Array): string =>
  `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`;
