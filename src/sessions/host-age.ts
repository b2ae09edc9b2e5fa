import { statSync } from 'node:fs';
import type { ProcessId } from './process.ts';
import { readMemory } from './usage.ts';

/** What is at these paths now, one word for each. Another file or folder, or other content, makes another text. */
export const stampOf = (paths: readonly string[]): string => paths.map(stampOfOne).join(' ');

const stampOfOne = (path: string): string => {
  try {
    const { ino, mtimeNs, size } = statSync(path, { bigint: true });
    return `${ino}.${mtimeNs}.${size}`;
  } catch {
    return 'none';
  }
};

/** The memory that a process has now, in bytes; 0 where it has ended. */
export const memoryOf = (process: ProcessId | null): number => (process && readMemory(process.pid, 'VmRSS')) ?? 0;
