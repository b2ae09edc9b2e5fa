import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_GROUPS } from '../accounts/role.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { DOORS } from './session-client.ts';
import { adminRole, repositoryRoles, type SessionInput } from './session-roles.ts';

/** The name of the terms' file below the run folder. */
export const SESSION_TERMS_FILE = 'session-terms.json';

export type SessionTermsInput = Omit<SessionInput, 'places'> & {
  readonly places: Pick<Places, 'run' | 'repos' | 'extrausers'>;
  readonly settings: SessionInput['settings'] & Pick<Settings, 'IDENTITIES' | 'PGID'>;
};

/** The words of a role as the host has read them; null if there are none, or the file cannot be read. */
export const readSessionWords = (run: string, group: string): readonly string[] | null => {
  try {
    const { roles } = JSON.parse(readFileSync(join(run, SESSION_TERMS_FILE), 'utf8'));
    return roles.find((role: { readonly group: string }) => role.group === group)?.words ?? null;
  } catch {
    return null;
  }
};

/** What the session host must know of the server, as JSON for image/launcher/terms.py. */
export const renderSessionTerms = (input: SessionTermsInput): string => {
  const { places, settings } = input;
  const roles = [...repositoryRoles(input), adminRole(input)];
  return `${JSON.stringify({
    doors: join(places.run, DOORS),
    passwd: join(places.extrausers, 'passwd'),
    sharedGid: settings.IDENTITIES === 'shared' ? settings.PGID : null,
    adminGroup: ROLE_GROUPS.admin.name,
    adminGid: settings.PGID,
    roles: roles.map(({ group, words }) => ({ group: group.name, gid: group.gid, words })),
  })}\n`;
};
