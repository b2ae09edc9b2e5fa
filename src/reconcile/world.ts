import { performance } from 'node:perf_hooks';
import type { IdentityPolicy } from '../accounts/identity.ts';
import { roleQuotas } from '../accounts/quota.ts';
import { openMachine } from '../host/machine.ts';
import { readRegistry, writeRegistry } from '../host/registry.ts';
import { readSystemAccounts } from '../host/system-accounts.ts';
import { createTreeReader } from '../keys/tree.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { scanRepositories } from '../repositories/scan.ts';
import type { Settings } from '../settings.ts';
import { serveArguments } from '../start/login-server.ts';
import { readOnlyFindings } from '../start/read-only-disk.ts';
import { createDiskGuard } from '../start/repositories-disk.ts';
import { probeRepositories } from '../start/repositories-folder.ts';
import { createForeignLook } from './foreign-look.ts';
import { rememberingOwn } from './handing-over.ts';
import type { PassWorld } from './pass-world.ts';
import { type Preparing, prepareRepositories, type Without } from './prepare.ts';

/** The real machine as a pass sees it. */
export const openWorld = (
  settings: Settings,
  places: Places,
  log: Logger,
  onAccess: PassWorld['onAccess'],
  onPreparing: (now: Preparing | null) => void = () => {},
  without?: Without,
): PassWorld => {
  const identities = policyOf(settings, places);
  const system = rememberingSystem(places.etc);
  const seeDisk = createDiskGuard(places);
  const foreign = createForeignLook(places.repos);
  const tellPreparing = (now: Preparing): void => {
    onPreparing(now);
    const { account, entries } = now;
    if (entries > 0 && entries % 10_000 === 0)
      log.info({ account, entries }, 'adopting a repository: changing the owner of its files');
  };
  const readTree = createTreeReader(places.sshkeys, '/sshkeys');
  return {
    settings,
    identities,
    roleQuotas: roleQuotas(serveArguments(settings)),
    machine: openMachine(places, { pgid: settings.PGID, repos: places.repos, shared: identities.kind === 'shared' }),
    readDeclaration: (changed) =>
      readTree(
        {
          systemNames: system.names(),
          environmentKeys: settings.BORG_SSHKEYS,
          now: new Date(),
        },
        changed,
      ),
    scanRepositories: (known) => {
      seeDisk();
      return foreign.see(scanRepositories(places.repos, known), known === undefined);
    },
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
    takenIds: system.ids,
    troubles: () => readOnlyFindings(places.repos),
    prepareRepositories: (preparations, signal) =>
      rememberingOwn(
        places,
        preparations,
        () => prepareRepositories(places.repos, preparations, tellPreparing, signal, undefined, without),
        foreign.handedOver,
      ).finally(() => onPreparing(null)),
    onAccess,
    now: () => performance.now(),
  };
};

/**
 * The machine's own accounts. Where they cannot be read, the names of the last reading are used to read the key tree, so that losses
 * can be taken away. The ids are read or missing: without them nothing is given.
 */
const rememberingSystem = (etc: string) => {
  let last: ReadonlySet<string> | null = null;
  let failure: unknown = null;
  return {
    names: (): ReadonlySet<string> => {
      failure = null;
      try {
        last = readSystemAccounts(etc).names;
      } catch (error) {
        if (!last) throw error;
        failure = error;
      }
      return last;
    },
    ids: (): ReadonlySet<number> => {
      if (failure !== null) throw failure;
      return readSystemAccounts(etc).ids;
    },
  };
};

const policyOf = (settings: Settings, places: Places): IdentityPolicy =>
  settings.IDENTITIES === 'own'
    ? { kind: 'own' }
    : { kind: 'shared', pgid: settings.PGID, keepsOwners: probeRepositories(places, settings).kind === 'kept' };
