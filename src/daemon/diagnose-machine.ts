import { lookup, lookupService } from 'node:dns/promises';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { printable } from '../accounts/printable.ts';
import { REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import type { Places } from '../places.ts';
import { describeError } from './describe-error.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/** borg needs a segment and the new index while it compacts: some 545 MB. */
const COMPACTION_BYTES = 600e6;
const LITTLE = 0.05;
/** Older than this program. */
const LONG_AGO = Date.parse('2025-01-01');
/** statfs(2). */
const NFS = 0x6969;
const NFS_GROUPS = 16;
const SLOW_MS = 1000;
const PATIENCE_MS = 10_000;

/** What of the machine under the server is known to go wrong. Each looks by itself and never throws. */
export const diagnoseMachine = async (
  places: Places,
  repositories: number,
  now: number,
): Promise<readonly Diagnosis[]> => [
  ...diagnoseMounts(places),
  ...diagnoseSpace(places.repos),
  diagnoseOwners(places, now),
  ...diagnoseNfs(places.repos, repositories),
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
  // proc(5), mountinfo: the fifth field is the mount point.
  const mounts = new Set(linesOf('/proc/self/mountinfo').map((line) => line.split(' ')[4]));
  return [places.sshkeys, places.repos].map((path) =>
    mounts.has(path)
      ? ok('mounts', `${path} is a mount of its own`)
      : error(
          'mounts',
          `${path} lies inside the container, and is lost with it`,
          `mount a volume or folder at ${path}`,
        ),
  );
};

const diagnoseSpace = (repos: string): readonly Diagnosis[] => {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(repos);
  const free = bavail * bsize;
  const shown = `${(free / 1e9).toFixed(1)} GB free of ${((blocks * bsize) / 1e9).toFixed(1)} GB`;
  const space =
    free < COMPACTION_BYTES
      ? error(
          'space',
          `${shown}: too little for borg compact; on a full disk even list fails`,
          'make room: grow the volume, or move a repository away',
        )
      : bavail < LITTLE * blocks
        ? warning('space', shown, 'grow the volume, or prune and compact while there is room for it')
        : ok('space', shown);
  // Some file systems have inodes without end, and say 0.
  return files > 0 && ffree < LITTLE * files
    ? [space, warning('inodes', `${ffree} of ${files} inodes free`, 'move other data away: borg needs few')]
    : [space];
};

/** Makes a folder as a repository's is made, and looks whether it has become one. */
const diagnoseOwners = (places: Places, now: number): Diagnosis => {
  let probe: string | null = null;
  try {
    probe = mkdtempSync(join(places.state, 'probe-'));
    chownSync(probe, 10_000, 10_000);
    chmodSync(probe, REPOSITORY_MODE);
    const { uid, gid, mode, mtimeMs } = lstatSync(probe);
    if (uid !== 10_000 || gid !== 10_000)
      return error(
        'owners',
        `${places.repos} ignores chown`,
        'use a file system with Unix owners, or stop it squashing root',
      );
    if ((mode & 0o7777) !== REPOSITORY_MODE)
      return error('owners', 'the setgid bit of a folder is dropped', 'give the server the capability FSETID');
    if (Math.abs(mtimeMs - now) > 120_000)
      return warning('owners', `${places.repos} has another time than this machine`, 'let both follow NTP');
    return ok('owners', `${places.repos} keeps owners, groups and the setgid bit`);
  } catch (failure) {
    return error(
      'owners',
      `owners cannot be changed in ${places.repos}: ${printable(describeError(failure))}`,
      'run as root with the capabilities of docker-compose.yml, on a file system with Unix owners',
    );
  } finally {
    if (probe !== null) rmdirSync(probe);
  }
};

const diagnoseNfs = (repos: string, repositories: number): readonly Diagnosis[] =>
  statfsSync(repos).type === NFS && repositories >= NFS_GROUPS
    ? [
        warning(
          'nfs',
          `${repos} is on NFS, which carries ${NFS_GROUPS} groups: admins cannot enter all ${repositories} repositories`,
          'let the NFS server look groups up (mountd --manage-gids), or use a local disk',
        ),
      ]
    : [];

/** borg asks for its own name at every start (socket.getfqdn): forward and back. */
const diagnoseOwnName = async (): Promise<Diagnosis> => {
  const name = hostname();
  const start = performance.now();
  const asked = lookup(name)
    .then(({ address }) => lookupService(address, 0))
    .catch(() => null);
  await Promise.race([asked, setTimeout(PATIENCE_MS, null, { ref: false })]);
  const took = Math.round(performance.now() - start);
  return took < SLOW_MS
    ? ok('own name', `${printable(name)} is looked up in ${took} ms`)
    : warning(
        'own name',
        `looking up ${printable(name)} takes ${took} ms, and each session waits for it`,
        'repair the resolver, or put the name into /etc/hosts (compose: hostname)',
      );
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
