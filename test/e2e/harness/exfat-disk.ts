import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (file: string, ...words: string[]): string =>
  execFileSync(file, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).trim();

const install = (): void => {
  const missing = [
    ...(existsSync('/usr/sbin/mount.exfat-fuse') || existsSync('/sbin/mount.exfat-fuse') ? [] : ['exfat-fuse']),
    ...(existsSync('/usr/sbin/mkfs.exfat') || existsSync('/sbin/mkfs.exfat') ? [] : ['exfatprogs']),
  ];
  const options = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300'];
  if (missing.length > 0) run('apt-get', 'install', ...options, ...missing);
};

export type ExfatDisk = {
  /** Call it once. `owner` becomes the mount options uid=, gid= and umask=. The disk covers what is mounted at `folder` already. */
  mount(folder: string, owner: { readonly uid: number; readonly gid: number; readonly umask: string }): void;
  remove(): void;
};

/**
 * A real exFAT, as on a USB drive. It knows no owners, modes or links, and no difference between upper and lower case. Everything on it belongs
 * to the owner that the mount names.
 */
export const makeExfatDisk = (): ExfatDisk => {
  install();
  const folder = mkdtempSync(join(tmpdir(), 'borgserver-exfat-'));
  const image = join(folder, 'image');
  writeFileSync(image, '');
  // borg wants 545 MB free before it compacts. The file has holes, so it takes little space.
  truncateSync(image, 2 * 1024 ** 3);
  run('mkfs.exfat', image);
  const device = run('losetup', '--find', '--show', image);
  let mounted: string | null = null;
  return {
    mount: (where, { uid, gid, umask }) => {
      run('mount.exfat-fuse', '-o', `uid=${uid},gid=${gid},umask=${umask},allow_other,nonempty`, device, where);
      mounted = where;
    },
    remove: () => {
      if (mounted !== null) run('umount', mounted);
      run('losetup', '--detach', device);
      rmSync(folder, { recursive: true });
    },
  };
};
