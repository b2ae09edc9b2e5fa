import { expect, test } from 'vitest';
import { diagnoseNfs } from '../../src/doctor/diagnose-nfs.ts';
import { parseMountinfo } from '../../src/system/mounts.ts';

const ROOT = '21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro';
const nfs = (at: string, security = 'sec=sys') =>
  `62 21 0:52 / ${at} rw,relatime shared:31 - nfs4 nas.example.org:/volume1/borg rw,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,${security},clientaddr=192.0.2.10,local_lock=none,addr=192.0.2.2`;
const found = (repositories: number, ...mounts: readonly string[]) =>
  diagnoseNfs('/repos', parseMountinfo([...mounts, ''].join('\n')), repositories).map(({ message }) => message);

test('an admin of sixteen repositories on NFS cannot enter all of them', () => {
  expect(found(16, ROOT, nfs('/repos'))).toEqual([
    '/repos is on NFS, which carries 16 groups: admins cannot enter all 16 repositories',
  ]);
  expect(found(15, ROOT, nfs('/repos'))).toEqual([]);
});

test('it does not matter how NFS comes to be there', () => {
  expect(found(20, ROOT, nfs('/'))).toHaveLength(1);
  expect(found(20, ROOT, nfs('/repos/web01'))).toHaveLength(1);
  expect(found(20, ROOT, nfs('/repos/web\\04001'))).toEqual([expect.stringContaining('/repos/web 01 is on NFS')]);
});

test('elsewhere, under another file system, or with Kerberos there is nothing to say', () => {
  expect(found(20, ROOT)).toEqual([]);
  expect(found(20, ROOT, nfs('/repositories'))).toEqual([]);
  expect(found(20, nfs('/'), '63 21 254:2 / /repos rw,relatime - ext4 /dev/vdb1 rw')).toEqual([]);
  expect(found(20, ROOT, nfs('/repos'), '63 62 254:2 / /repos rw,relatime - ext4 /dev/vdb1 rw')).toEqual([]);
  expect(found(20, ROOT, nfs('/repos', 'sec=krb5p'))).toEqual([]);
});
