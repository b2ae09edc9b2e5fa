import { join } from 'node:path';
import * as z from 'zod';
import type { Registry } from '../accounts/identity.ts';
import { ROLES } from '../accounts/role.ts';
import { peekStateFile, readStateFile, writeStateFile } from './state-file.ts';

/** The form of the record, wherever it is kept. */
export const REGISTRY_FORMAT = z.object({
  highWater: z.int().min(0),
  uids: z.record(z.string(), z.int().min(0)),
  roles: z.array(z.enum(ROLES)),
  repositories: z.object({ kept: z.array(z.string()), lost: z.array(z.string()) }).optional(),
  leftovers: z.array(z.string()).optional(),
});

export const EMPTY_REGISTRY: Registry = { highWater: 0, uids: {}, roles: [] };

/** Where it is. */
export const registryFile = (state: string): string => join(state, 'identities.json');

/**
 * Reads what the server remembers of its identities. Without a file nothing is remembered. A damaged one is renamed to
 * identities.json.damaged: the owners of the folders say nearly all of it.
 *
 * @returns `damaged`: true when a file was set aside
 * @throws the system's error where a file is there and cannot be read: then nothing may be decided
 */
export const readRegistry = (state: string): { readonly registry: Registry; readonly damaged: boolean } => {
  const { value, damaged } = readStateFile(registryFile(state), REGISTRY_FORMAT);
  return { registry: value ?? EMPTY_REGISTRY, damaged };
};

/** The same for a reader that changes nothing: a file that is damaged, or cannot be read, stays where it is and gives nothing. */
export const peekRegistry = (state: string): Registry =>
  peekStateFile(registryFile(state), REGISTRY_FORMAT) ?? EMPTY_REGISTRY;

/** Writes it so that it survives a power cut. */
export const writeRegistry = (state: string, registry: Registry): void => writeStateFile(registryFile(state), registry);
