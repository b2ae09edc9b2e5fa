import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_GROUPS } from '../accounts/role.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { DOORS } from './session-client.ts';
import { adminRole, repositoryRoles, type SessionInput } from './session-roles.ts';

/** Where the terms are, below the run folder. */
export const SESSION_TERMS_FILE = 'session-terms.json';

export type SessionTermsInput = Omit<SessionInput, 'places'> & {
  readonly places: Pick<Places, 'run' | 'repos' | 'extrausers'>;
  readonly settings: SessionInput['settings'] & Pick<Settings, 'IDENTITIES' | 'PGID'>;
};

/** The words of a role as the host has got them; null where there are none, or nobody can tell. */
export const readSessionWords = (run: string, group: string): readonly string[] | null => {
  try {
    const { roles } = JSON.parse(readFileSync(join(run, SESSION_TERMS_FILE), 'utf8'));
    return roles.find((role: { readonly group: string }) => role.group === group)?.words ?? null;
  } catch {
    return null;
  }
};

/** What the session host has to know of the server, as JSON that image/launcher/terms.py reads. */
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
