import { type Mount, mountOf, readMounts } from './mounts.ts';

/**
 * Whether nothing can be written where `path` is: its file system was mounted so, or the kernel has made it so after an error. This reads
 * mountinfo, since access(2) sees neither an ext4 of newer kernels after an error (`emergency_ro`) nor an XFS that was shut down.
 *
 * @param path absolute, without links
 */
export const isReadOnly = (path: string, mounts: readonly Mount[] = readMounts()): boolean => {
  const mount = mountOf(mounts, path);
  return mount !== null && [...mount.options, ...mount.own].some((option) => WORDS.has(option));
};

const WORDS: ReadonlySet<string> = new Set(['ro', 'emergency_ro', 'shutdown']);
