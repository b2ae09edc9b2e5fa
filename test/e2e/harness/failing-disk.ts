import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const run = (file: string, ...words: string[]): string => execFileSync(file, words, { encoding: 'utf8' }).trim();

export type FailingDisk = {
  mount(folder: string): void;
  /** Does what a disk's error does: the kernel makes the file system read-only at once, even where files are open. */
  fail(): void;
  remove(): void;
};

/** A real ext4 that turns read-only at its first error, as Debian mounts it. The kernel makes this error on request. */
export const makeFailingDisk = (): FailingDisk => {
  const folder = mkdtempSync(join(tmpdir(), 'borgserver-ext4-'));
  const image = join(folder, 'image');
  writeFileSync(image, '');
  truncateSync(image, 1024 ** 3);
  run('mkfs.ext4', '-q', '-m', '0', image);
  const device = run('losetup', '--find', '--show', image);
  let mounted: string | null = null;
  return {
    mount: (where) => {
      run('mount', '-o', 'errors=remount-ro', device, where);
      mounted = where;
    },
    fail: () => writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'an error of a test'),
    remove: () => {
      if (mounted !== null) run('umount', '--lazy', mounted);
      run('losetup', '--detach', device);
      rmSync(folder, { recursive: true });
    },
  };
};
