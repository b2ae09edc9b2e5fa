import type { FolderHandle } from '../system/folder-handle.ts';
import { keyIn } from './config-key.ts';
import { readConfigText } from './config-text.ts';
import { readRepositoryConfig } from './repository-config.ts';

/** What tells one repository from another: its id, and the locked key, which is compared and never shown. Null: not known, or none. */
export type Identity = { readonly id: string | null; readonly key: string | null };

export const readIdentity = (folder: FolderHandle): Identity => {
  const config = readConfigText(folder) ?? '';
  return { id: readRepositoryConfig(config)?.id ?? null, key: keyIn(config) };
};
