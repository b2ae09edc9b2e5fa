import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCgroup } from './cgroup.ts';
import type { Server } from './server.ts';
import { firstProcess } from './small-disk.ts';

/**
 * Moves a process of the server into a cgroup. What it forks from then on begins there, too.
 *
 * @param pid as the server sees it
 */
export const moveInto = (folder: string, server: Server, pid: number): void => {
  // The kernel reads a PID as one of the writer's own PID namespace.
  const inside = ['--target', String(firstProcess(server)), '--pid', '--'];
  execFileSync('nsenter', [...inside, 'sh', '-c', `echo ${pid} >${folder}/cgroup.procs`]);
};

/**
 * Keeps one process of the server from forking, by a cgroup of its own. What it has forked before stays outside of the cgroup.
 *
 * @param pid as the server sees it
 * @returns lets it fork again
 */
export const keepFromForking = (server: Server, pid: number): (() => Promise<void>) => {
  const { folder, remove } = createCgroup('pids');
  moveInto(folder, server, pid);
  writeFileSync(join(folder, 'pids.max'), '1');
  return async () => {
    writeFileSync(join(folder, 'pids.max'), 'max');
    await remove();
  };
};
