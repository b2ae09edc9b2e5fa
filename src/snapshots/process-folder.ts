import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startOf } from '../system/proc.ts';
import { namesIn } from './store.ts';

/**
 * The path of a folder that says whose it is: this process'. It is not made yet, but the one above is.
 *
 * @param all the folder above, in which all processes have theirs
 */
export const folderOfProcess = (all: string, name: string): string => {
  mkdirSync(all, { recursive: true });
  // Whatever the umask says: the account's borg has to get through.
  chmodSync(all, 0o711);
  return join(all, `${name}.${process.pid}-${startOf(process.pid)?.start ?? '0'}`);
};

/** The folders of processes that are gone. */
export const leftByProcesses = (all: string): readonly string[] =>
  namesIn(all).flatMap((name) => {
    const [, pid, start] = /\.(\d+)-(\d+)$/.exec(name) ?? [];
    return pid === undefined || startOf(Number(pid))?.start === start ? [] : [join(all, name)];
  });
