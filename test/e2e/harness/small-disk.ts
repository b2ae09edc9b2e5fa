import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Server } from './server.ts';

/** A tmpfs of so many KiB over a folder. Take it away again with `unmount`. */
export const mountSmall = (folder: string, kibibytes: number): void => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k,mode=0755`, 'none', folder]);
};

export const unmount = (folder: string): void => {
  execFileSync('umount', ['--lazy', folder]);
};

/** Fills a file system inside the server, such as `/run`, down to the last page. `free` gives the space back. */
export const fill = async (server: Server, path: string): Promise<{ readonly free: () => Promise<void> }> => {
  // By default a tmpfs has the size of half the memory. So make it just larger than what it holds, and then fill the rest.
  const [used = '0'] = (await server.look(['df', '--output=used', path])).stdout.match(/\d+/) ?? [];
  // The other options stay as they are: the ids in them may not exist in a user namespace.
  const size = `remount,size=${Number(used) + 64}k`;
  inMountsOf(server, ['mount', '--options-source', 'disable', '-o', size, path]);
  await server.exec(['dd', 'if=/dev/zero', `of=${path}/filler`, 'bs=4k', 'count=64'], { reject: false });
  await server.exec(['sh', '-c', `! echo more >${path}/probe && rm ${path}/probe`]);
  return { free: async () => void (await server.exec(['rm', `${path}/filler`])) };
};

/** Runs a program in the server's namespaces with all rights, as an operator can from outside. */
export const inMountsOf = (server: Server, words: readonly string[]): void => fromOutside(server)(words);

/** The same for several programs. It also works while another mount covers the server's key tree. */
export const fromOutside = (server: Server): ((words: readonly string[]) => void) => {
  const pid = String(firstProcess(server));
  return (words) => void execFileSync('nsenter', ['--target', pid, '--mount', '--pid', '--', ...words]);
};

/** The last PID that was found, by key tree. */
const lastFirst = new Map<string, string>();

/** The host's PID of the server's PID 1, known by the key tree that it sees. */
export const firstProcess = (server: Server): number => {
  const { dev, ino } = statSync(server.sshkeys);
  const isFirst = (pid: string): boolean => {
    try {
      if (!/^\d+$/.test(pid) || !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('tini\0')) return false;
      const seen = statSync(`/proc/${pid}/root/sshkeys`);
      return seen.dev === dev && seen.ino === ino;
    } catch {
      return false;
    }
  };
  const last = lastFirst.get(server.sshkeys);
  const found = last !== undefined && isFirst(last) ? last : readdirSync('/proc').find(isFirst);
  if (found === undefined) throw new Error('the server does not run');
  lastFirst.set(server.sshkeys, found);
  return Number(found);
};
