import { readFileSync, renameSync } from 'node:fs';
import type { z } from 'zod';
import { errorCode } from '../system/errno.ts';
import { closing, openFile } from '../system/open.ts';
import { writeFileAtomically } from './write.ts';

/** What a state file held: nothing if it is not there. `damaged`: the server did not write it like that, so it was put aside. */
export type StateFile<Value> = { readonly value: Value | null; readonly damaged: boolean };

/**
 * Reads a JSON file of the server's own. A damaged one is renamed to FILE.damaged, for a person to look at.
 *
 * @throws the system's error where a file is there and cannot be read, or a folder is: then nothing may be decided
 */
export const readStateFile = <Value>(path: string, format: z.ZodType<Value>): StateFile<Value> => {
  const text = readIfThere(path);
  if (text === null) return { value: null, damaged: false };
  const parsed = format.safeParse(parseJson(text));
  if (parsed.success) return { value: parsed.data, damaged: false };
  renameSync(path, `${path}.damaged`);
  return { value: null, damaged: true };
};

/** Reads one without changing anything. Null where it is not there, cannot be read, or is damaged; a damaged one stays where it is. */
export const peekStateFile = <Value>(path: string, format: z.ZodType<Value>): Value | null => {
  try {
    return format.safeParse(parseJson(readIfThere(path) ?? '')).data ?? null;
  } catch {
    return null;
  }
};

/** Replaces it in one step. The new file survives a power cut. */
export const writeStateFile = (path: string, value: unknown): void =>
  writeFileAtomically(path, `${JSON.stringify(value)}\n`, { mode: 0o600, durable: true });

const readIfThere = (path: string): string | null => {
  try {
    return closing(openFile(path), (file) => readFileSync(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
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
