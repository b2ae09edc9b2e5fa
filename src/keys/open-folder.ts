import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';

/** Names one folder for as long as it exists. */
export const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

/**
 * Holds a folder open while it is read: by its name, one that is moved away and back meanwhile would seem to have lost files.
 *
 * @param read gets a path that leads to this very folder wherever it is by then (proc(5), /proc/PID/fd), and its identity
 * @throws the system's error where it cannot be opened, or what `read` throws
 */
export const inOpenFolder = <T>(folder: string, read: (handle: string, identity: string) => T): T => {
  const file = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return read(`/proc/${process.pid}/fd/${file}`, identityOf(fstatSync(file)));
  } finally {
    closeSync(file);
  }
};
