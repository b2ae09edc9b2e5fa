import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { failureInOneLine } from '../failure.ts';
import { hasEveryId, namespaceProblems, readUserNamespace, spansText } from '../host/user-namespace.ts';
import { inNoVolume } from '../host/volumes.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { READ_ONLY_CURE } from '../start/read-only-disk.ts';
import { probeRepositories, SHARED_IDENTITIES } from '../start/repositories-folder.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { readMounts } from '../system/mounts.ts';
import { isReadOnly } from '../system/read-only.ts';
import { printable } from '../text/printable.ts';
import { diagnoseNfs } from './diagnose-nfs.ts';
import { diagnoseOwnName } from './diagnose-own-name.ts';
import { diagnoseSpace } from './diagnose-space.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/** A time that is older than this program. */
const LONG_AGO = Date.parse('2025-01-01');

/** What is known to go wrong with the machine under the server. Each check works on its own and never throws. */
export const diagnoseMachine = async (
  places: Places,
  settings: Settings,
  surveyed: readonly Surveyed[],
  now: number,
): Promise<readonly Diagnosis[]> => [
  ...diagnoseMounts(places),
  ...diagnoseSpace(places.repos, settings.MIN_FREE, surveyed),
  diagnoseOwners(places, settings, now),
  ...diagnoseIds(settings),
  ...diagnoseNfs(places.repos, readMounts(), surveyed.length),
  now < LONG_AGO
    ? error(
        'clock',
        `the clock says ${new Date(now).toISOString()}`,
        'set the clock of the host, and let it follow NTP',
      )
    : ok('clock', new Date(now).toISOString()),
  await diagnoseOwnName(),
  diagnoseInotify(places.sshkeys),
];

const CONTAINER_SIGNS = ['/.dockerenv', '/run/.containerenv', '/var/run/secrets/kubernetes.io'];

/** A folder inside the container's own file system is gone with the container. */
const diagnoseMounts = (places: Places): readonly Diagnosis[] => {
  if (!CONTAINER_SIGNS.some((path) => existsSync(path))) return [];
  const lost = inNoVolume(places);
  const kept = [places.sshkeys, places.repos].filter((path) => !lost.some((each) => `${each}/`.startsWith(`${path}/`)));
  return [
    ...kept.map((path) => ok('mounts', `${path} is in volumes of its own`)),
    ...lost.map((path) =>
      error('mounts', `${path} lies inside the container, and is lost with it`, `mount a volume or folder at ${path}`),
    ),
  ];
};

/** A rootless container has only some ids. */
const diagnoseIds = (settings: Settings): readonly Diagnosis[] => {
  const namespace = readUserNamespace();
  const problems = namespaceProblems(namespace, settings);
  const cure = 'choose ids that are there, or give the container more';
  if (problems.length > 0) return problems.map((problem) => error('ids', problem, cure));
  const { uids, gids } = namespace;
  return hasEveryId(namespace)
    ? []
    : [ok('ids', `user ids ${spansText(uids)}, group ids ${spansText(gids)} in this user namespace`)];
};

const OWNERS_CURE =
  'run as root with the capabilities of docker-compose.yml, on a file system with Unix owners; or set IDENTITIES=shared';

/** Makes a folder as for a repository, and checks the result. */
const diagnoseOwners = (places: Places, settings: Settings, now: number): Diagnosis => {
  const shared = settings.IDENTITIES === 'shared';
  if (isReadOnly(places.repos)) return error('owners', `not tried: ${places.repos} is read-only`, READ_ONLY_CURE);
  try {
    const probe = probeRepositories(places, settings);
    switch (probe.kind) {
      case 'kept':
        if (Math.abs(probe.madeAt - now) > 120_000)
          return warning('owners', `${places.repos} has another time than this machine`, 'let both follow NTP');
        return shared
          ? warning('owners', SHARED_IDENTITIES, 'set IDENTITIES=own: this file system can change owners')
          : ok('owners', `${places.repos} keeps owners, groups and the setgid bit`);
      case 'setgid-dropped':
        return error('owners', 'the setgid bit of a folder is dropped', 'give the server the capability FSETID');
      case 'refused':
      case 'ignored':
        return shared
          ? warning(
              'owners',
              SHARED_IDENTITIES,
              'move /repos to a file system with Unix owners, and set IDENTITIES=own',
            )
          : error('owners', `owners cannot be changed in ${places.repos}`, OWNERS_CURE);
    }
  } catch (failure) {
    return error('owners', `${places.repos} cannot be used: ${printable(failureInOneLine(failure))}`, OWNERS_CURE);
  }
};

/** inotify(7): a watch for each folder and file of the tree. */
const diagnoseInotify = (sshkeys: string): Diagnosis => {
  const limitOf = (name: string): number => Number(linesOf(`/proc/sys/fs/inotify/${name}`)[0] ?? Number.NaN);
  const [watches, instances] = [limitOf('max_user_watches'), limitOf('max_user_instances')];
  const needed = countEntries(sshkeys) + 16;
  return watches < 2 * needed || instances < 16
    ? warning(
        'inotify',
        `${watches} watches and ${instances} instances for ${needed} files and folders`,
        'raise fs.inotify.max_user_watches and max_user_instances on the host, or set WATCH=polling',
      )
    : ok('inotify', `${watches} watches, ${instances} instances; some ${needed} are needed`);
};

const countEntries = (folder: string): number => {
  try {
    return readdirSync(folder, { recursive: true }).length;
  } catch {
    return 0;
  }
};

const linesOf = (path: string): readonly string[] => {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};
