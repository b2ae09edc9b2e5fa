import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Witness } from '../accounts/repositories-witness.ts';
import type { Places } from '../places.ts';
import { errorCode } from '../system/errno.ts';
import { REGISTRY_FORMAT } from './registry.ts';
import { readStateFile } from './state-file.ts';
import { writeFileAtomically } from './write.ts';

const FORMAT = z.object({ disk: z.string().min(1).max(100), registry: REGISTRY_FORMAT });

/** Beside the host keys: the one folder of the key tree in which the server writes anyway. */
export const witnessFile = ({ sshkeys }: Pick<Places, 'sshkeys'>): string =>
  join(sshkeys, 'host/known-repositories.json');

/**
 * Reads what is kept beside the key tree.
 *
 * @returns null where nothing is kept; 'damaged' where it cannot be understood
 * @throws the system's error where it is there and cannot be read
 */
export const readWitness = (places: Places): Witness | 'damaged' | null => {
  try {
    const text = readIfThere(witnessFile(places));
    return text === null ? null : FORMAT.parse(JSON.parse(text));
  } catch (error) {
    // A folder, as Docker makes it for a file of this name that is to be mounted and is not there, is damaged, too.
    if (errorCode(error) !== null && errorCode(error) !== 'EISDIR') throw error;
    return 'damaged';
  }
};

/**
 * Replaces it in one step, surviving a power cut; nothing is written where it says that already.
 *
 * @param registry the record as it is written on the disk: with ten thousand accounts it is not parsed once more
 * @throws Error with cause `{ code: 'unwritable', file, found, remedy }`
 */
export const keepWitness = (places: Places, disk: string, registry: string): void => {
  const text = `{"disk":${JSON.stringify(disk)},"registry":${registry.trimEnd()}}\n`;
  if (readIfThere(witnessFile(places)) === text) return;
  writeFileAtomically(witnessFile(places), text, { mode: 0o600, durable: true });
};

/** The same for one that is at hand. */
export const writeWitness = (places: Places, { disk, registry }: Witness): void =>
  keepWitness(places, disk, JSON.stringify(registry));

const markFile = (state: string): string => join(state, 'disk-id');
const MARK = z.object({ disk: z.string().min(1).max(100) });

/**
 * The mark of the disk that /repos is; null: it has none.
 *
 * @throws the system's error where it is there and cannot be read
 */
export const readDiskMark = ({ state }: Pick<Places, 'state'>): string | null =>
  readStateFile(markFile(state), MARK).value?.disk ?? null;

/** A mark that no disk has. */
export const newDiskMark = (): string => randomBytes(16).toString('hex');

/** The mark of the disk that /repos is, made where there is none. */
export const markDisk = ({ state }: Pick<Places, 'state'>, disk = newDiskMark()): string => {
  const found = readDiskMark({ state });
  if (found !== null) return found;
  writeFileAtomically(markFile(state), `${JSON.stringify({ disk })}\n`, { mode: 0o600, durable: true });
  return disk;
};

const readIfThere = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
};
