import { performance } from 'node:perf_hooks';
import { roleQuotas } from '../accounts/quota.ts';
import { openMachine } from '../host/machine.ts';
import { readRegistry, writeRegistry } from '../host/registry.ts';
import { readSystemAccounts } from '../host/system-accounts.ts';
import { createTreeReader } from '../keys/tree.ts';
import type { Places } from '../places.ts';
import { scanRepositories } from '../repositories/scan.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './log.ts';
import { serveArguments } from './login-server.ts';
import type { PassWorld } from './pass.ts';
import { prepareRepositories } from './prepare.ts';

/** The real machine as a pass sees it. */
export const openWorld = (
  settings: Settings,
  places: Places,
  log: Logger,
  onAccess: PassWorld['onAccess'],
): PassWorld => {
  const readTree = createTreeReader(places.sshkeys, '/sshkeys');
  return {
    settings,
    roleQuotas: roleQuotas(serveArguments(settings)),
    machine: openMachine(places, { pgid: settings.PGID, repos: places.repos }),
    readDeclaration: () =>
      readTree({
        systemNames: readSystemAccounts(places.etc).names,
        environmentKeys: settings.BORG_SSHKEYS,
        now: new Date(),
      }),
    scanRepositories: () => scanRepositories(places.repos),
    readRegistry: () => {
      const { registry, damaged } = readRegistry(places.state);
      if (damaged)
        log.error(
          { file: `${places.state}/identities.json` },
          'the record of uids was damaged and is set aside; the owners of the folders are used',
        );
      return registry;
    },
    writeRegistry: (registry) => writeRegistry(places.state, registry),
    takenIds: () => readSystemAccounts(places.etc).ids,
    prepareRepositories: (preparations, signal) =>
      prepareRepositories(
        places.repos,
        preparations,
        (name, entries) =>
          log.info({ account: name, entries }, 'adopting a repository: changing the owner of its files'),
        signal,
      ),
    onAccess,
    now: () => performance.now(),
  };
};
