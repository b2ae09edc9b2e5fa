import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/** The limit of the container, in either version of cgroups. */
const LIMITS = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];

/** The memory that this server has, in bytes: the machine's, or what its cgroup may use of it. */
export const serverMemory = (): number =>
  Math.min(...[totalmem(), process.constrainedMemory(), ...LIMITS.map(limitIn)].filter((bytes) => bytes > 0));

/** 0 where there is no such file, or `max` in it. */
const limitIn = (file: string): number => {
  try {
    return Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    return 0;
  }
};
