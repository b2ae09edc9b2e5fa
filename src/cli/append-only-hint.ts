import { join } from 'node:path';
import { readConfigText } from '../borg/config-text.ts';
import { readRepositoryConfig } from '../borg/repository-config.ts';
import { appendOnlyCure } from '../doctor/diagnose-append-only.ts';
import { inFolder } from '../system/folder-handle.ts';

const FREEING: ReadonlySet<string> = new Set(['prune', 'delete', 'compact']);

/**
 * What to say before a borg command that should make room, where the repository's own config forbids that: borg says nothing of it.
 *
 * @param path below /repos
 * @returns null where nothing forbids it, or where the config cannot be read: borg reports that
 */
export const appendOnlyHint = (repos: string, path: string, command: string): string | null => {
  if (!FREEING.has(command)) return null;
  try {
    const text = inFolder(join(repos, path), (folder) => readConfigText(folder));
    return text !== null && readRepositoryConfig(text)?.appendOnly
      ? `its config says append_only, so borg frees nothing, and does not say so; end that with: ${appendOnlyCure(path)}`
      : null;
  } catch {
    return null;
  }
};
