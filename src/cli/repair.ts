import { REPAIRS, type Repair, repairRepository } from '../borg/repair.ts';
import { quoted } from '../borg/serve-arguments.ts';
import { findTarget } from '../borg/target.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { printable } from '../text/printable.ts';
import { keepBefore, tellChanged } from './keep-before.ts';
import { repositoryNamed } from './repository-name.ts';

/** borg's own code for an error. */
const ERROR = 2;

/**
 * `borgserver repair NAME nonce|former-keys|integrity|config`: the cures that `doctor` names. It runs as the repository's owner, and follows no
 * link.
 *
 * @returns the exit code: 0 done, 2 refused
 * @throws what findTarget throws
 */
export const runRepair = async (name: string, what: string, places: Places): Promise<number> => {
  const repair = REPAIRS.find((each): each is Repair => each === what);
  if (!repair) return refuse(`'${printable(what)}' is not one of: ${REPAIRS.join(', ')}`);
  const relative = repositoryNamed(name);
  if (relative === null) return refuse(`'${printable(name)}' is no repository`);
  const { PUID, PGID, IDENTITIES } = requireSettings(process.env);
  const as = IDENTITIES === 'shared' ? { uid: PUID, gid: PGID } : undefined;
  const target = findTarget(places.repos, relative, 'check', as);
  await keepBefore(places, relative);
  const why = await repairRepository(places.repos, relative, target, repair);
  if (why !== null) return refuse(`${printable(relative)}: ${printable(why, 300)}`);
  await tellChanged(places, relative, `repair ${repair}`);
  console.log(`${printable(relative)}: ${done(repair, relative)}`);
  return 0;
};

const refuse = (why: string): number => {
  console.error(`borgserver: ${why}`);
  return ERROR;
};

/** What was done, and what to type next, ready to paste. */
export const done = (repair: Repair, path: string): string => {
  switch (repair) {
    case 'nonce':
      return 'its counter is above every number that was ever used, and backups work again';
    case 'former-keys':
      return 'the replaced keys are removed';
    case 'integrity':
      return `its damaged checksums are removed, and borg opens it; look at it with: borgserver borg check --repository-only ${quoted(path)}`;
    case 'config':
      return 'its former config is back';
  }
};
