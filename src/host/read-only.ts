import { readMountinfo } from './mounts.ts';

/**
 * Whether nothing can be written where `path` lies: its file system was mounted so, or the kernel has made it so after an error. Read
 * from mountinfo, since access(2) sees neither an ext4 of newer kernels after an error (`emergency_ro`) nor an XFS that was shut down.
 *
 * @param path absolute, without links
 */
export const isReadOnly = (path: string, mountinfo: string = readMountinfo()): boolean => {
  const mounts = mountinfo.split('\n').flatMap(parsed);
  const around = mounts.filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`));
  const longest = Math.max(...around.map(({ point }) => point.length));
  // Of several at one point the last one is what is seen.
  const seen = around.findLast(({ point }) => point.length === longest);
  return seen?.options.some((option) => WORDS.has(option)) ?? false;
};

const WORDS: ReadonlySet<string> = new Set(['ro', 'emergency_ro', 'shutdown']);

/** proc(5), mountinfo: field 5 is the mount point, 6 its options; behind the hyphen type, source and the options of the file system. */
const parsed = (line: string): readonly { readonly point: string; readonly options: readonly string[] }[] => {
  const [left = '', right = ''] = line.split(' - ');
  const [, , , , point, options = ''] = left.split(' ');
  if (!point) return [];
  const own = right.split(' ')[2] ?? '';
  return [
    {
      point: point.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8))),
      options: [...options.split(','), ...own.split(',')],
    },
  ];
};
