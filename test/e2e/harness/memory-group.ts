import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cgroup, createCgroup } from './cgroup.ts';

export type MemoryGroup = Cgroup & {
  /** Words to put before a command. The command then runs in this group, with all that it starts. */
  readonly start: readonly string[];
  /** How many processes the kernel has ended here because there was no memory left. */
  ended(): number;
};

/** A cgroup of its own with so much memory and no swap. */
export const createMemoryGroup = (bytes: number): MemoryGroup => {
  const group = createCgroup('memory');
  const { folder, isFirst } = group;
  writeFileSync(join(folder, isFirst ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  const swap = join(folder, isFirst ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max');
  if (existsSync(swap)) writeFileSync(swap, isFirst ? String(bytes) : '0');
  const events = join(folder, isFirst ? 'memory.oom_control' : 'memory.events');
  return {
    ...group,
    start: ['sh', '-c', `echo $$ >${folder}/cgroup.procs && exec "$0" "$@"`],
    ended: () => Number(/^oom_kill (\d+)/m.exec(readFileSync(events, 'utf8'))?.[1]),
  };
};
