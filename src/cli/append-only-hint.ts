import { join } from 'node:path';
import { openBounded } from '../borg/bounded-file.ts';
import { inFolder } from '../borg/folder-handle.ts';
import { MAX_CONFIG_BYTES, readRepositoryConfig } from '../borg/repository-config.ts';
import { appendOnlyCure } from '../daemon/diagnose-append-only.ts';

const FREEING: ReadonlySet<string> = new Set(['prune', 'delete', 'compact']);

/**
 * What to say before a borg command that is to make room, where the repository's own config forbids that: borg says nothing.
 *
 * @param path below /repos
 * @returns null where nothing stands in the way, or where the config cannot be read, of which borg tells
 */
export const appendOnlyHint = (repos: string, path: string, command: string): string | null => {
  if (!FREEING.has(command)) return null;
  try {
    const config = inFolder(join(repos, path), (folder) =>
      openBounded(join(folder.path, 'config'), (read) =>
        readRepositoryConfig(read(0, MAX_CONFIG_BYTES).toString('latin1')),
      ),
    );
    return config?.appendOnly
      ? `its config says append_only, so borg frees nothing, and does not say so; end that with: ${appendOnlyCure(path)}`
      : null;
  } catch {
    return null;
  }
};
