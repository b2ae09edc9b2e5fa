import { join } from 'node:path';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';

/** borg's own words (`borg init --encryption`). The authenticated ones and 'none' leave everything readable on the server. */
export type Encryption =
  | 'none'
  | 'authenticated'
  | 'authenticated-blake2'
  | 'keyfile'
  | 'keyfile-blake2'
  | 'repokey'
  | 'repokey-blake2'
  | 'passphrase';

/** The first byte of every object (borg/crypto/key.py, TYPE). */
const TYPES: readonly Encryption[] = [
  'keyfile',
  'passphrase',
  'none',
  'repokey',
  'keyfile-blake2',
  'repokey-blake2',
  'authenticated-blake2',
  'authenticated',
];

/** Whether a person who has the disk can read the backups. */
export const isReadable = (encryption: Encryption): boolean =>
  encryption === 'none' || encryption.startsWith('authenticated');

/**
 * Finds out how a repository is encrypted, from the first object in one of these segments. `config` does not say it: there a
 * repository without encryption looks like one whose key is in a file of the client.
 *
 * @returns null where none of them begins with an object
 */
export const readEncryption = (
  folder: FolderHandle,
  segments: readonly number[],
  segmentsPerDir: number,
): Encryption | null => {
  for (const segment of segments) {
    const found = inFolder(join(folder.path, 'data'), (data) =>
      inFolder(join(data.path, String(Math.floor(segment / segmentsPerDir))), (part) =>
        firstObject(join(part.path, String(segment))),
      ),
    );
    if (found) return found;
  }
  return null;
};

const MAGIC = 'BORG_SEG';
/** crc32, size of the whole entry, tag, and the object's id of 32 bytes (borg/repository.py, LoggedIO). */
const HEADER = 9;
const ID = 32;
const PUT = 0;
/** The segment of a prune begins with the objects that it deletes. There may be very many. */
const MOST_ENTRIES = 32;

const firstObject = (path: string): Encryption | null =>
  openBounded(path, (read) => {
    if (read(0, MAGIC.length).toString('latin1') !== MAGIC) return null;
    let at = MAGIC.length;
    for (let entry = 0; entry < MOST_ENTRIES; entry += 1) {
      const bytes = read(at, HEADER + ID + 1);
      if (bytes.length < HEADER) return null;
      if (bytes[8] === PUT) return TYPES[bytes[HEADER + ID] ?? TYPES.length] ?? null;
      const size = bytes.readUInt32LE(4);
      if (size < HEADER) return null;
      at += size;
    }
    return null;
  });
