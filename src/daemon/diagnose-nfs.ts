import { type Diagnosis, warning } from './diagnosis.ts';

/** What AUTH_SYS carries besides the primary group (RFC 5531, appendix A). An admin has `borg-admin` and one for each repository. */
const NFS_GROUPS = 16;

/**
 * Whether admins can enter every repository where they lie on NFS. With Kerberos the server of the file system knows the groups
 * by itself.
 *
 * @param mountinfo the text of /proc/self/mountinfo (proc(5))
 * @param repositories how many there are, each with a group of its own
 */
export const diagnoseNfs = (repos: string, mountinfo: string, repositories: number): readonly Diagnosis[] => {
  if (repositories < NFS_GROUPS) return [];
  const mounts = mountinfo.split('\n').map(readMount);
  const holds = (at: string): boolean => at === repos || repos.startsWith(at === '/' ? at : `${at}/`);
  const above = mounts
    .filter(({ at }) => holds(at))
    // Of several at one place the last is on top.
    .reduce<Mount | null>((found, mount) => (found && found.at.length > mount.at.length ? found : mount), null);
  const carriesFew = [...(above ? [above] : []), ...mounts.filter(({ at }) => at.startsWith(`${repos}/`))].find(
    ({ type, options }) => /^nfs4?$/.test(type) && !options.some((option) => /^sec=krb5/.test(option)),
  );
  if (!carriesFew) return [];
  return [
    warning(
      'nfs',
      `${carriesFew.at} is on NFS, which carries ${NFS_GROUPS} groups: admins cannot enter all ${repositories} repositories`,
      'let the NFS server look groups up (mountd --manage-gids), or use a local disk',
    ),
  ];
};

type Mount = { readonly at: string; readonly type: string; readonly options: readonly string[] };

/** `36 35 98:0 /root /mount/point rw shared:1 - nfs4 source rw,sec=sys`: the fields before the dash vary in number. */
const readMount = (line: string): Mount => {
  const [before = '', after = ''] = line.split(' - ');
  const [type = '', , options = ''] = after.split(' ');
  const at = (before.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return { at, type, options: options.split(',') };
};
