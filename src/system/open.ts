import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { errorCode } from './errno.ts';

/** An open never waits for a writer at the other end of a pipe, and no terminal becomes this process' own. */
const NO_WAIT = constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens a file at a place where somebody else may put a link or a pipe: the last component of the path is not followed, and nothing is
 * waited for. What was opened may still be anything but a link: look at it (fstat).
 *
 * @returns the descriptor; close it
 * @throws the system's error: ELOOP for a link, ENXIO for a socket
 */
export const openFile = (path: string, flags: number = constants.O_RDONLY, mode?: number): number =>
  openSync(path, flags | constants.O_NOFOLLOW | NO_WAIT, mode);

/** The same for a path whose last component may be a link: the caller must find out where that leads. */
export const openFollowing = (path: string): number => openSync(path, constants.O_RDONLY | NO_WAIT);

/**
 * Opens a folder whose last component is no link.
 *
 * @returns the descriptor; close it
 * @throws the system's error: ENOTDIR for anything else, a link too
 */
export const openFolder = (path: string): number =>
  openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);

/** open(2), O_PATH: the same number on every architecture that Debian's Node runs on. Node does not name it. */
const O_PATH = 0o10000000;

/**
 * Takes hold of whatever has this name, a link too, and does not open it: nothing waits, and no lease is broken (fcntl(2)). Look at it with fstat,
 * and change it by pathOfOpen: that leads to a link itself, too.
 *
 * @returns the descriptor; close it
 * @throws the system's error
 */
export const holdAny = (path: string | Buffer): number => openSync(path, O_PATH | constants.O_NOFOLLOW);

/** It is not there, was exchanged meanwhile, or cannot be opened as what it should be. */
const NOT_THERE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

/** Opens it; null where it is not there, or something else is. Any other error of the system is thrown. */
export const openIfThere = <Path extends string | Buffer>(path: Path, open: (path: Path) => number): number | null => {
  try {
    return open(path);
  } catch (error) {
    if (NOT_THERE.has(errorCode(error))) return null;
    throw error;
  }
};

/** Closes a descriptor after its use. */
export const closing = <T>(descriptor: number, use: (descriptor: number) => T): T => {
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
};

/**
 * Puts the content of a file, or the names in a folder, on the disk before it returns (fsync(2)).
 *
 * @throws the system's error
 */
export const flush = (path: string): void => closing(openSync(path, 'r'), fsyncSync);

/** A path by which this process reaches what it has open, whatever takes its name meanwhile (proc(5), /proc/PID/fd). */
export const pathOfOpen = (descriptor: number): string => `/proc/self/fd/${descriptor}`;

/** The same for a program that this process starts. A program may stop at the link itself: the dot at the end makes it go in. */
export const pathForPrograms = (folder: number): string => `/proc/${process.pid}/fd/${folder}/.`;
