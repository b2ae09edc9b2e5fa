import { existsSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './machine.ts';

export type Cgroup = {
  /** The folder of the group, and the folder of the group that it is in. */
  readonly folder: string;
  readonly root: string;
  /** Whether it is a cgroup of version 1, whose files have other names. */
  readonly isFirst: boolean;
  /** Call it when nothing runs in it any more. */
  remove(): Promise<void>;
};

/** A cgroup of a test's own, of version 1 or 2, whichever the machine has for this controller. */
export const createCgroup = (controller: 'memory' | 'pids'): Cgroup => {
  const root = [`/sys/fs/cgroup/${controller}`, '/sys/fs/cgroup'].find((folder) => existsSync(folder)) ?? '';
  const isFirst = !existsSync(join(root, 'cgroup.controllers'));
  if (!isFirst) writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`);
  const folder = mkdtempSync(join(root, 'borgserver-test-'));
  return {
    ...{ folder, root, isFirst },
    remove: async () => {
      await until('the last process of the group to end', () => {
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
