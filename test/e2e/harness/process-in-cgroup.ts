import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './machine.ts';
import type { Server } from './server.ts';
import { firstProcess } from './small-disk.ts';

const ROOTS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

/**
 * Moves a process of the server into a cgroup. What it forks from then on begins there, too.
 *
 * @param pid as the server sees it
 */
export const moveInto = (folder: string, server: Server, pid: number): void => {
  // The kernel reads a PID as one of the namespace of who writes it.
  const inside = ['--target', String(firstProcess(server)), '--pid', '--'];
  execFileSync('nsenter', [...inside, 'sh', '-c', `echo ${pid} >${folder}/cgroup.procs`]);
};

/**
 * Keeps one process of the server from forking, by a cgroup of its own, of version 1 or 2: what it has forked before stays outside.
 *
 * @param pid as the server sees it
 * @returns lets it fork again
 */
export const keepFromForking = (server: Server, pid: number): (() => Promise<void>) => {
  const root = ROOTS.find((folder) => existsSync(folder)) ?? '';
  if (existsSync(join(root, 'cgroup.controllers'))) writeFileSync(join(root, 'cgroup.subtree_control'), '+pids');
  const folder = mkdtempSync(join(root, 'borgserver-test-'));
  moveInto(folder, server, pid);
  writeFileSync(join(folder, 'pids.max'), '1');
  return async () => {
    writeFileSync(join(folder, 'pids.max'), 'max');
    moveInto(root, server, pid);
    await until('the group to be empty', () => {
      try {
        rmdirSync(folder);
        return true;
      } catch {
        return false;
      }
    });
  };
};
