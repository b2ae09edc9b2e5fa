import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { sep } from 'node:path';
import { errorCode } from '../accounts/error-code.ts';
import type { Finding, FindingCode } from '../accounts/finding.ts';
import { type KeyFile, parseKeyFile } from './key-file.ts';

/** How the reading of one key file went. `version` changes whenever the file does. */
export type FileReading =
  | ({ readonly kind: 'read'; readonly version: string } & KeyFile)
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable'; readonly finding: Finding }
  | { readonly kind: 'refused'; readonly finding: Finding };

/** Where a link may lead: below `root`, but not below `host`. Both are real paths. */
export type Bounds = { readonly root: string; readonly host: string };

const MOST_BYTES = 1024 * 1024;
/** A file that was read this soon after it changed may have changed again within one tick of its clock, unseen. */
const SETTLED_MS = 2000;

/**
 * A reader of key files that remembers what it read, by path, as long as inode, times and size stay the same. `sweep`
 * forgets what was not asked for since the last sweep.
 */
export const createFileReader = () => {
  type Known = { readonly readAt: number; readonly reading: FileReading & { readonly kind: 'read' } };
  let known = new Map<string, Known>();
  let asked = new Map<string, Known>();

  const read = (path: string, file: string, bounds: Bounds): FileReading => {
    try {
      const entry = lstatSync(path);
      const target = entry.isSymbolicLink() ? followLink(path, bounds) : path;
      if (target === null) return refused(file, ...LINK);
      const seen = target === path ? entry : statSync(target);
      if (!seen.isFile())
        return refused(
          file,
          'not-a-file',
          `this is ${kindOf(seen)}, not a file`,
          'put key files directly into the folder, and nothing else',
        );
      const version = versionOf(seen);
      const earlier = known.get(path);
      if (earlier?.reading.version === version && earlier.readAt - Math.max(seen.mtimeMs, seen.ctimeMs) > SETTLED_MS) {
        asked.set(path, earlier);
        return earlier.reading;
      }
      const readAt = Date.now();
      const reading = readFile(target, file);
      if (reading.kind === 'read') asked.set(path, { readAt, reading });
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

/** Where a link inside the tree leads, or null if that is outside, nowhere, or among the host keys. */
const followLink = (path: string, bounds: Bounds): string | null => {
  try {
    const target = realpathSync.native(path);
    const inside = (folder: string): boolean => target.startsWith(folder + sep);
    return inside(bounds.root) && !inside(bounds.host) ? target : null;
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTDIR'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
};

const LINK = [
  'link-leaves-tree',
  'this is a link that leads out of the key tree, or nowhere',
  'copy the key file here instead',
] as const;

/** Opens without following a link and without waiting for a FIFO, and looks at what was really opened. */
const readFile = (path: string, file: string): FileReading => {
  const descriptor = openSync(
    path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
  );
  try {
    const seen = fstatSync(descriptor);
    if (!seen.isFile())
      return refused(file, 'not-a-file', `this is ${kindOf(seen)}, not a file`, 'put a plain file here');
    const bytes = seen.size > MOST_BYTES ? null : readAll(descriptor, seen.size);
    return bytes === null
      ? refused(file, 'file-too-large', 'the file has more than 1 MiB', 'keep only public keys in it')
      : { kind: 'read', version: versionOf(seen), ...parseKeyFile(bytes, file) };
  } finally {
    closeSync(descriptor);
  }
};

/** All bytes of a file that may grow or shrink meanwhile, or null if there are too many. */
const readAll = (descriptor: number, expected: number): Buffer | null => {
  let buffer = Buffer.allocUnsafe(expected + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += count;
    if (count === 0) return buffer.subarray(0, length);
    if (length > MOST_BYTES) return null;
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(64 * 1024)]);
  }
};

const versionOf = (seen: Stats): string => `${seen.dev}:${seen.ino} ${seen.mtimeMs} ${seen.ctimeMs} ${seen.size}`;

const kindOf = (seen: Stats): string =>
  seen.isDirectory() ? 'a folder' : seen.isFIFO() ? 'a FIFO' : seen.isSocket() ? 'a socket' : 'a device';

const finding = (file: string, code: FindingCode, message: string, remedy: string): Finding => ({
  severity: 'error',
  code,
  file,
  line: null,
  message,
  remedy,
});

const refused = (file: string, code: FindingCode, message: string, remedy: string): FileReading => ({
  kind: 'refused',
  finding: finding(file, code, message, remedy),
});

const unreadable = (file: string, code: string): FileReading => ({
  kind: 'unreadable',
  finding: finding(
    file,
    'file-unreadable',
    `the file cannot be read (${code}); its account keeps what it has and gains nothing`,
    'check its permissions and its file system',
  ),
});
