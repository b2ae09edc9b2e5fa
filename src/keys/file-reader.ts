import { fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats, statSync } from 'node:fs';
import { sep } from 'node:path';
import { errorAt, type Finding, type FindingCode } from '../accounts/finding.ts';
import { errorCode } from '../system/errno.ts';
import { closing, openFile, openFollowing, pathOfOpen } from '../system/open.ts';
import { parseKeyFile } from './key-file.ts';
import type { KeyFile } from './key-file-content.ts';
import { pathInside } from './open-folder.ts';

/** How the reading of one key file went. `version` changes whenever the file does. */
export type FileReading =
  | ({ readonly kind: 'read'; readonly version: string } & KeyFile)
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable'; readonly finding: Finding }
  | { readonly kind: 'refused'; readonly finding: Finding };

/** Where a link may lead: below the folder with this identity (`identityOf`), wherever it was moved, but not below its folder `host`. */
export type Bounds = { readonly identity: string; readonly host: string };

const MOST_BYTES = 1024 * 1024;
/** A file that is read so soon after its change may have changed again in the same tick of its clock, and nobody would see it. */
const SETTLED_MS = 2000;
/** How often the reader looks again while the tree is being moved: on a busy machine it may move between any two looks. */
const MOVES = 1000;

/**
 * A reader of key files. It remembers what it read, by name, as long as inode, times and size stay the same. `sweep` forgets what
 * nobody asked for since the last sweep. It reads what lies at the path, which may go through a descriptor.
 */
export const createFileReader = () => {
  type Known = { readonly readAt: number; readonly reading: FileReading & { readonly kind: 'read' } };
  let known = new Map<string, Known>();
  let asked = new Map<string, Known>();

  const read = (
    { path, name }: { readonly path: string; readonly name: string },
    file: string,
    bounds: Bounds,
  ): FileReading => {
    try {
      const entry = lstatSync(path);
      const link = entry.isSymbolicLink();
      if (link && !leadsInside(path, bounds)) return refused(file, ...LINK);
      const seen = link ? statSync(path) : entry;
      if (!seen.isFile())
        return refused(
          file,
          'not-a-file',
          `this is ${kindOf(seen)}, not a file`,
          'put key files directly into the folder, and nothing else',
        );
      const version = versionOf(seen);
      const earlier = known.get(name);
      if (earlier?.reading.version === version && earlier.readAt - Math.max(seen.mtimeMs, seen.ctimeMs) > SETTLED_MS) {
        asked.set(name, earlier);
        return earlier.reading;
      }
      const readAt = Date.now();
      const reading = readFile(path, file, link ? bounds : null);
      if (reading.kind === 'read') asked.set(name, { readAt, reading });
      return reading;
    } catch (error) {
      const code = errorCode(error) ?? 'EIO';
      return code === 'ENOENT' ? { kind: 'gone' } : unreadable(file, code);
    }
  };

  return {
    read,
    sweep: (): void => {
      known = asked;
      asked = new Map();
    },
  };
};

/** open(2), of <fcntl.h>: finds what a path leads to without opening it. Node has no constant for it. */
const O_PATH = 0o10000000;

/**
 * Whether a link leads to something inside the tree, and not among the host keys. The kernel follows it in one step: piece by
 * piece, it would lead nowhere while its folder is moved away.
 */
const leadsInside = (path: string, bounds: Bounds): boolean => {
  try {
    return closing(openSync(path, O_PATH), (target) => isInside(target, bounds));
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTDIR'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
};

const isInside = (descriptor: number, bounds: Bounds): boolean => {
  for (let attempt = 0; attempt < MOVES; attempt += 1) {
    const inside = pathInside(readlinkSync(pathOfOpen(descriptor)), bounds.identity);
    if (inside !== 'moved') return inside !== null && !inside.startsWith(sep + bounds.host + sep);
  }
  // If the tree never stops moving, nobody can tell. The account keeps what it has.
  throw Object.assign(new Error('the key tree is being moved'), { code: 'EBUSY' });
};

const LINK = [
  'link-leaves-tree',
  'this is a link that leads out of the key tree, or nowhere',
  'copy the key file here instead',
] as const;

/**
 * Opens without waiting for a FIFO, and looks at what was really opened.
 *
 * @param bounds where a link may lead; null: no link is followed
 */
const readFile = (path: string, file: string, bounds: Bounds | null): FileReading => {
  const open = bounds ? openFollowing : openFile;
  return closing(open(path), (descriptor): FileReading => {
    if (bounds && !isInside(descriptor, bounds)) return refused(file, ...LINK);
    const seen = fstatSync(descriptor);
    if (!seen.isFile())
      return refused(file, 'not-a-file', `this is ${kindOf(seen)}, not a file`, 'put a plain file here');
    const bytes = seen.size > MOST_BYTES ? null : readAll(descriptor, seen.size);
    return bytes === null
      ? refused(file, 'file-too-large', 'the file has more than 1 MiB', 'keep only public keys in it')
      : { kind: 'read', version: versionOf(seen), ...parseKeyFile(bytes, file) };
  });
};

/** All bytes of a file that may grow or shrink meanwhile, or null if there are too many. */
const readAll = (descriptor: number, expected: number): Buffer | null => {
  let buffer = Buffer.allocUnsafe(expected + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += count;
    // It read as many bytes as fstat said, and there was room for one more: the file ends here.
    if (count === 0 || (length === expected && count === expected)) return buffer.subarray(0, length);
    if (length > MOST_BYTES) return null;
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(64 * 1024)]);
  }
};

const versionOf = (seen: Stats): string => `${seen.dev}:${seen.ino} ${seen.mtimeMs} ${seen.ctimeMs} ${seen.size}`;

const kindOf = (seen: Stats): string =>
  seen.isDirectory() ? 'a folder' : seen.isFIFO() ? 'a FIFO' : seen.isSocket() ? 'a socket' : 'a device';

const refused = (file: string, code: FindingCode, message: string, remedy: string): FileReading => ({
  kind: 'refused',
  finding: errorAt(file, code, message, remedy),
});

const unreadable = (file: string, code: string): FileReading => ({
  kind: 'unreadable',
  finding: errorAt(
    file,
    'file-unreadable',
    `the file cannot be read (${code}); its account keeps what it has and gains nothing`,
    'check its permissions and its file system',
  ),
});
