import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '../e2e/harness/client.ts';
import { BASE_ENVIRONMENT, freePort, greets, until } from '../e2e/harness/machine.ts';
import { run } from '../e2e/harness/program.ts';

/** What an operator would run instead: Debian's sshd with its defaults, and one authorized_keys line for one user. */
export type PlainServer = {
  readonly port: number;
  /** The path of its one repository. */
  readonly repository: string;
  readonly knownHosts: string;
  /** The command that its one key may start. */
  readonly command: string;
  /** The pid of its sshd. */
  readonly pid: number;
  readonly stop: () => Promise<void>;
};

/** Starts it for the client's first key. Only /run and root's home are its own. The user is root, the one user that every machine has. */
export const startPlainServer = async (client: Client): Promise<PlainServer> => {
  const folder = await mkdtemp(join(tmpdir(), 'plain-server-'));
  const repository = join(folder, 'repos/plain');
  await mkdir(repository, { recursive: true });
  const [hostKey, keys, config, knownHosts] = ['host_key', 'keys', 'config', 'known_hosts'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string];
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey], BASE_ENVIRONMENT);
  const command = `borg serve --restrict-to-repository ${repository}`;
  await writeFile(keys, `command="${command}",restrict ${client.key.public}\n`, { mode: 0o600 });
  const port = await freePort();
  const lines = ['ListenAddress 127.0.0.1', `Port ${port}`, `HostKey ${hostKey}`, `AuthorizedKeysFile ${keys}`];
  await writeFile(config, [...lines, 'StrictModes no', 'PidFile none', 'PermitRootLogin yes', ''].join('\n'));
  await writeFile(knownHosts, `[127.0.0.1]:${port} ${(await readFile(`${hostKey}.pub`, 'utf8')).trim()}\n`);
  // root's home is empty there. Otherwise the plain server would pay for what a shell reads at a login on this machine.
  const start =
    'mount -t tmpfs none /run && mount -t tmpfs none ~root && mkdir -p /run/sshd && exec /usr/sbin/sshd -D -f "$1"';
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', start, 'sh', config], {
    env: BASE_ENVIRONMENT,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await until('the plain sshd to greet', () => greets(port));
  return {
    ...{ port, repository, knownHosts, command, pid: child.pid ?? 0 },
    stop: async () => {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
};
