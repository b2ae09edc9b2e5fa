import { failure } from '../failure.ts';
import type { Places } from '../places.ts';
import { renderBorgmatic } from './client/borgmatic.ts';
import { type BackupFacts, type ClientFacts, hasRepository } from './client/connection.ts';
import { renderEnv } from './client/env.ts';
import { type ClientRequest, gatherFacts } from './client/facts.ts';
import type { ClientFormat } from './client/formats.ts';
import { renderKnownHosts } from './client/known-hosts.ts';
import { renderNixos } from './client/nixos.ts';
import { renderShell } from './client/shell.ts';
import { renderSshConfig } from './client/ssh-config.ts';
import { renderSystemd } from './client/systemd.ts';

export type ClientOptions = ClientRequest & { readonly format: ClientFormat };

/**
 * `borgserver client NAME`: everything that the owner of the account's key needs, ready to paste.
 *
 * @returns the exit code 0
 * @throws what gatherFacts throws; nothing is printed then
 */
export const runClient = async (places: Places, name: string, options: ClientOptions): Promise<number> => {
  const { format, ...request } = options;
  console.log(renderClient(await gatherFacts(places, name, request, process.env), format));
  return 0;
};

/**
 * The text of a format, without a newline at its end.
 *
 * @throws Error with cause `{ code: 'no-repository', remedy }` if the format is for a backup job and an admin named no repository
 */
export const renderClient = (facts: ClientFacts, format: ClientFormat): string => {
  switch (format) {
    case 'shell':
      return renderShell(facts);
    case 'ssh-config':
      return renderSshConfig(facts);
    case 'known-hosts':
      return renderKnownHosts(facts);
    case 'borgmatic':
      return renderBorgmatic(backingUp(facts));
    case 'nixos':
      return renderNixos(backingUp(facts));
    case 'systemd':
      return renderSystemd(facts);
    case 'env':
      return renderEnv(facts);
  }
};

const backingUp = (facts: ClientFacts): BackupFacts => {
  if (hasRepository(facts)) return facts;
  throw failure(`${facts.account} is an admin and has no repository of its own to back up to`, {
    code: 'no-repository',
    remedy:
      'give --repository NAME to back up to that one; --format shell and systemd have the job that makes room in append-only repositories',
  });
};
