import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './machine.ts';

export type MemoryGroup = {
  /** Its own, and that of the group in which it is. */
  readonly folder: string;
  readonly root: string;
  /** Words that run the words behind them in this group, and all that they start. */
  readonly start: readonly string[];
  /** How many processes the kernel has ended here because there was no memory left. */
  ended(): number;
  /** Call it when nothing runs in it any more. */
  remove(): Promise<void>;
};

const ROOTS = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'];

/** A cgroup of its own with so much memory and no swap, of version 1 or 2, whichever the machine has for memory. */
export const createMemoryGroup = (bytes: number): MemoryGroup => {
  const root = ROOTS.find((folder) => existsSync(folder)) ?? '';
  const first = !existsSync(join(root, 'cgroup.controllers'));
  if (!first) writeFileSync(join(root, 'cgroup.subtree_control'), '+memory');
  const folder = mkdtempSync(join(root, 'borgserver-test-'));
  writeFileSync(join(folder, first ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  const swap = join(folder, first ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max');
  if (existsSync(swap)) writeFileSync(swap, first ? String(bytes) : '0');
  const events = join(folder, first ? 'memory.oom_control' : 'memory.events');
  return {
    ...{ folder, root },
    start: ['sh', '-c', `echo $$ >${folder}/cgroup.procs && exec "$0" "$@"`],
    ended: () => Number(/^oom_kill (\d+)/m.exec(readFileSync(events, 'utf8'))?.[1]),
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
