import { join } from 'node:path';
import type { FolderHandle } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';
import { MAX_CONFIG_BYTES } from './repository-config.ts';

/**
 * The text of a repository's config. It reads no more than borg's own config can have.
 *
 * @param name 'config.old' for the former config, which borg keeps while it writes a new one
 * @returns null where it is not there, or is no plain file
 */
export const readConfigText = ({ path }: FolderHandle, name: 'config' | 'config.old' = 'config'): string | null =>
  openBounded(join(path, name), (read) => read(0, MAX_CONFIG_BYTES).toString('latin1'));
