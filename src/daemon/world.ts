import { performance } from 'node:perf_hooks';
import type { IdentityPolicy } from '../accounts/identity.ts';
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
import { type Preparing, prepareRepositories } from './prepare.ts';
import { probeRepositories } from './repositories-folder.ts';

/** The real machine as a pass sees it. */
export const openWorld = (
  settings: Settings,
  places: Places,
  log: Logger,
  onAccess: PassWorld['onAccess'],
  onPreparing: (now: Preparing | null) => void = () => {},
): PassWorld => {
  const identities = policyOf(settings, places);
  const readTree = createTreeReader(places.sshkeys, '/sshkeys');
  return {
    settings,
    identities,
    roleQuotas: roleQuotas(serveArguments(settings)),
    machine: openMachine(places, { pgid: settings.PGID, repos: places.repos, shared: identities.kind === 'shared' }),
    readDeclaration: (changed) =>
      readTree(
        {
          systemNames: readSystemAccounts(places.etc).names,
          environmentKeys: settings.BORG_SSHKEYS,
          now: new Date(),
        },
        changed,
      ),
    scanRepositories: (known) => scanRepositories(places.repos, known),
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
        (now) => {
          onPreparing(now);
          const { account, entries } = now;
          if (entries > 0 && entries % 10_000 === 0)
            log.info({ account, entries }, 'adopting a repository: changing the owner of its files');
        },
        signal,
      ).finally(() => onPreparing(null)),
    onAccess,
    now: () => performance.now(),
  };
};

const policyOf = (settings: Settings, places: Places): IdentityPolicy =>
  settings.IDENTITIES === 'own'
    ? { kind: 'own' }
    : { kind: 'shared', pgid: settings.PGID, keepsOwners: probeRepositories(places, settings).kind === 'kept' };
