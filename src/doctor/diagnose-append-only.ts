import { quoted } from '../borg/serve-arguments.ts';
import type { ServerStatus } from '../control/server-status.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, warning } from './diagnosis.ts';

/** The command that takes append_only out of a repository's config. It needs no passphrase. @param path below /repos */
export const appendOnlyCure = (path: string): string => `borgserver borg config ${quoted(path)} append_only 0`;

/**
 * Repositories whose own config says append_only (`borg init --append-only` writes it). Then delete, prune and compact succeed and
 * free nothing, whoever runs them: also an admin, and the server itself. The role restricts append-only clients without it.
 *
 * @param server null: accounts are unknown
 */
export const diagnoseAppendOnly = (
  server: Pick<ServerStatus, 'accounts'> | null,
  surveyed: readonly Surveyed[],
): readonly Diagnosis[] => {
  const roles = new Map(server?.accounts.map(({ name, role }) => [name, role]));
  return surveyed.flatMap(({ path, folder, state }) => {
    if (state?.kind !== 'repository' || !state.config.appendOnly) return [];
    const byRole = roles.get(folder.name) === 'append-only';
    return [
      warning(
        'append-only',
        `${printable(path)}: its config says append_only, so delete, prune and compact free nothing, whoever runs them`,
        `${appendOnlyCure(path)}${byRole ? '; its role keeps its clients append-only all the same' : ''}`,
      ),
    ];
  });
};
