import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './machine.ts';

export type Cgroup = {
  readonly folder: string;
  /** Whether it is a cgroup of version 1, whose files have other names. */
  readonly isFirst: boolean;
  /** Moves what still runs in it to the root group: a test that fails then tells its own cause, not that the group is in use. */
  remove(): Promise<void>;
};

/** A cgroup of a test's own, of version 1 or 2, whichever the machine has for this controller. */
export const createCgroup = (controller: 'memory' | 'pids'): Cgroup => {
  const root = [`/sys/fs/cgroup/${controller}`, '/sys/fs/cgroup'].find((folder) => existsSync(folder)) ?? '';
  const isFirst = !existsSync(join(root, 'cgroup.controllers'));
  if (!isFirst) writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`);
  const folder = mkdtempSync(join(root, 'borgserver-test-'));
  return {
    ...{ folder, isFirst },
    remove: async () => {
      await until('the last process of the group to leave it', (saw) => {
        for (const pid of saw(readFileSync(join(folder, 'cgroup.procs'), 'utf8'))
          .split('\n')
          .filter(Boolean))
          move(pid, root);
        try {
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      });
    },
  };
};

const move = (pid: string, folder: string): void => {
  try {
    writeFileSync(join(folder, 'cgroup.procs'), pid);
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};
