import { spawn } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PROJECT, until } from './machine.ts';
import { startNamespaceServer } from './namespace-server.ts';
import type { Server, ServerOptions } from './server.ts';

/** The first id of this machine that the namespace uses: its root is this machine's 300000, its 10000 is 310000. */
export const SHIFT = 300_000;
const IDS = 65_536;

/**
 * A server as in a rootless container: in a user namespace with 65,536 ids, in which nothing that belongs to this machine's
 * root can be changed, and with no right outside of it.
 */
export const startUserNamespaceServer = async (options: ServerOptions): Promise<Server> => {
  const folder = await mkdtemp(join(tmpdir(), 'borgserver-user-namespace-'));
  const holder = spawn('unshare', ['--user', 'sleep', 'infinity'], { stdio: 'ignore' });
  const remove = async (): Promise<void> => {
    holder.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const own = await readFile('/proc/self/uid_map', 'utf8');
    await until(
      'a user namespace',
      async () => (await readFile(`/proc/${holder.pid}/uid_map`, 'utf8').catch(() => own)) !== own,
    );
    for (const file of ['uid_map', 'gid_map']) await writeFile(`/proc/${holder.pid}/${file}`, `0 ${SHIFT} ${IDS}\n`);
    const { project, prelude } = await copyProject(folder);
    const enter = (pid: number | undefined, ...more: string[]): string[] => [
      ...['nsenter', '--target', String(pid), '--user', ...more, '--setuid', '0', '--setgid', '0', '--'],
    ];
    const server = await startNamespaceServer(
      {
        ...options,
        // A host key of giveHostKey belongs to this machine's root, so this server cannot read it.
        ownHostKeys: true,
        prepare: async (dirs) => {
          await options.prepare?.(dirs);
          await chmod(dirname(dirs.repos), 0o755);
          for (const path of [dirs.sshkeys, dirs.repos]) await chown(path, SHIFT, SHIFT);
        },
      },
      {
        project,
        start: [...enter(holder.pid), 'unshare', '--mount', '--propagation', 'slave', 'bash', prelude],
        exec: (pid) => enter(pid, '--mount'),
      },
    );
    return {
      ...server,
      cleanup: async () => {
        await server.cleanup();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
};

/** Copies what `npm start` runs. The files belong to the namespace's own root, as those of an image would. */
const copyProject = async (folder: string): Promise<{ readonly project: string; readonly prelude: string }> => {
  const project = join(folder, 'project');
  // The folder must be older than the program, or the program would be built again.
  await mkdir(join(project, 'src'), { recursive: true });
  const node = 'node_modules/node/bin/node';
  // In this order: the cache is made again if it is older than the program.
  for (const path of [
    'image',
    'package.json',
    'package-lock.json',
    node,
    'dist/program',
    'dist/launcher',
    'dist/compile-cache',
  ])
    await cp(join(PROJECT, path), join(project, path), { recursive: true });
  await writeFile(join(project, 'node_modules/.package-lock.json'), '{}');
  await writeFile(join(folder, 'shadow'), 'root:*:::::::\n');
  const prelude = join(folder, 'prelude');
  await writeFile(
    prelude,
    [
      'set -e',
      'mount -t tmpfs -o mode=0755 run /run',
      `mount --bind ${folder}/shadow /etc/shadow`,
      'exec "$@"',
      '',
    ].join('\n'),
  );
  const everything = await readdir(folder, { recursive: true });
  for (const path of ['.', ...everything]) await chown(join(folder, path), SHIFT, SHIFT);
  return { project, prelude };
};
