import { type Mount, mountOf } from '../system/mounts.ts';
import { type Diagnosis, warning } from './diagnosis.ts';

/** The most groups that AUTH_SYS carries besides the primary group (RFC 5531, appendix A). An admin has `borg-admin` and one for each repository. */
const NFS_GROUPS = 16;

/**
 * Whether admins can enter every repository where the repositories are on NFS. With Kerberos the NFS server knows the groups by itself.
 *
 * @param repositories how many there are; each has a group of its own
 */
export const diagnoseNfs = (repos: string, mounts: readonly Mount[], repositories: number): readonly Diagnosis[] => {
  if (repositories < NFS_GROUPS) return [];
  const above = mountOf(mounts, repos);
  const carriesFew = [...(above ? [above] : []), ...mounts.filter(({ at }) => at.startsWith(`${repos}/`))].find(
    ({ type, own }) => /^nfs4?$/.test(type) && !own.some((option) => /^sec=krb5/.test(option)),
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
