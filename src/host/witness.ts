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

/** Beside the host keys: that is the one folder of the key tree in which the server writes anyway. */
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
    // A folder counts as damaged too: Docker makes one if it has to mount a file of this name that is not there.
    if (errorCode(error) !== null && errorCode(error) !== 'EISDIR') throw error;
    return 'damaged';
  }
};

/**
 * Replaces it in one step. It survives a power cut. Nothing is written where the file says that already.
 *
 * @param registry the record as text, as it is written on the disk: with ten thousand accounts it should not be parsed again
 * @throws Error with cause `{ code: 'unwritable', file, found, remedy }`
 */
export const keepWitness = (places: Places, disk: string, registry: string): void => {
  const text = `{"disk":${JSON.stringify(disk)},"registry":${registry.trimEnd()}}\n`;
  if (readIfThere(witnessFile(places)) === text) return;
  writeFileAtomically(witnessFile(places), text, { mode: 0o600, durable: true });
};

/** The same for a record that is not text yet. */
export const writeWitness = (places: Places, { disk, registry }: Witness): void =>
  keepWitness(places, disk, JSON.stringify(registry));

const markFile = (state: string): string => join(state, 'disk-id');
const MARK = z.object({ disk: z.string().min(1).max(100) });

/**
 * The mark of the disk of /repos. Null: it has none.
 *
 * @throws the system's error where it is there and cannot be read
 */
export const readDiskMark = ({ state }: Pick<Places, 'state'>): string | null =>
  readStateFile(markFile(state), MARK).value?.disk ?? null;

/** A mark that no disk has. */
export const newDiskMark = (): string => randomBytes(16).toString('hex');

/** The mark of the disk of /repos. It is made where there is none. */
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
