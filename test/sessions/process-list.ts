import type { Process } from '../../src/sessions/process.ts';

/** A process of a made-up list. By default it is root's and began at tick 100. */
export const process_ = (pid: number, parent: number, more: Partial<Process> = {}): Process => ({
  ...{ pid, parent, uid: 0, start: 100, ended: false },
  ...more,
});
