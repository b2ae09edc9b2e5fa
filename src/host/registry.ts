import { closeSync, constants, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Registry } from '../accounts/identity.ts';
import { ROLES } from '../accounts/role.ts';
import { writeFileAtomically } from './write.ts';

const format = z.object({
  highWater: z.int().min(0),
  uids: z.record(z.string(), z.int().min(0)),
  roles: z.array(z.enum(ROLES)),
});

export const EMPTY_REGISTRY: Registry = { highWater: 0, uids: {}, roles: [] };

const fileIn = (state: string): string => join(state, 'identities.json');

/**
 * Reads what the server remembers of its identities. Without a file nothing is remembered; a damaged one is set aside as
 * identities.json.damaged, since the owners of the folders say nearly all of it.
 *
 * @returns `damaged`: true when a file was set aside
 * @throws the system's error where a file is there and cannot be read: then nothing may be decided
 */
export const readRegistry = (state: string): { readonly registry: Registry; readonly damaged: boolean } => {
  const path = fileIn(state);
  const text = readIfThere(path);
  if (text === null) return { registry: EMPTY_REGISTRY, damaged: false };
  const parsed = format.safeParse(parseJson(text));
  if (parsed.success) return { registry: parsed.data, damaged: false };
  renameSync(path, `${path}.damaged`);
  return { registry: EMPTY_REGISTRY, damaged: true };
};

/** Keeps it, surviving a power cut. */
export const writeRegistry = (state: string, registry: Registry): void =>
  writeFileAtomically(fileIn(state), `${JSON.stringify(registry)}\n`, { mode: 0o600, durable: true });

const readIfThere = (path: string): string | null => {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
