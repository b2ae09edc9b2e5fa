import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENVIRONMENT, freePort, greets, until } from '../harness/machine.ts';
import { run } from '../harness/program.ts';

/** An sshd that allows everything. What is refused elsewhere must succeed here. */
export type PlainSshd = {
  readonly port: number;
  /** The pid of its listener, which has its own mounts. */
  readonly pid: number;
  /** A folder of its own, which its sessions may write to. Its rc file makes `rc-ran` there. */
  readonly folder: string;
  /** What createClient wants to know of a server: the folder that has `host/*.pub`. */
  readonly sshkeys: string;
  /** Lets this public key in as root. */
  allow(publicKey: string): Promise<void>;
  stop(): Promise<void>;
};

const ALLOWS_EVERYTHING = [
  ...['PermitRootLogin yes', 'StrictModes no', 'PidFile none', 'Subsystem sftp internal-sftp', 'AcceptEnv *'],
  ...['AllowTcpForwarding yes', 'AllowStreamLocalForwarding yes', 'AllowAgentForwarding yes'],
  'PermitTunnel yes',
  // Any program that takes the words of xauth and exits with 0 will do.
  ...['X11Forwarding yes', 'XAuthLocation /bin/true', 'PermitUserEnvironment yes', 'PermitUserRC yes'],
  // The default, 10:30:100, drops every connection from this number on.
  'MaxStartups 100',
];

/** Starts it on a port of 127.0.0.1 for root, the one user that every machine has. It has an empty /run and /root of its own. */
export const startPlainSshd = async (): Promise<PlainSshd> => {
  const folder = await mkdtemp(join(tmpdir(), 'plain-sshd-'));
  const port = await freePort();
  const [keys, config, rc] = [join(folder, 'keys'), join(folder, 'config'), join(folder, 'rc')];
  await mkdir(join(folder, 'host'));
  const hostKey = join(folder, 'host/key');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey], BASE_ENVIRONMENT);
  await writeFile(keys, '');
  const place = ['ListenAddress 127.0.0.1', `Port ${port}`, `HostKey ${hostKey}`, `AuthorizedKeysFile ${keys}`];
  await writeFile(config, [...place, ...ALLOWS_EVERYTHING, ''].join('\n'));
  await writeFile(rc, `touch '${join(folder, 'rc-ran')}'\n`);
  const start = [
    'mount -t tmpfs none /run && mkdir -p /run/sshd && mount -t tmpfs none /root && mkdir -m 700 /root/.ssh',
    'cp "$2" /root/.ssh/rc && exec /usr/sbin/sshd -D -f "$1"',
  ].join(' && ');
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', start, 'sh', config, rc], {
    env: BASE_ENVIRONMENT,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await until('the plain sshd to greet', () => greets(port));
  return {
    port,
    pid: child.pid ?? 0,
    folder,
    sshkeys: folder,
    allow: (publicKey) => writeFile(keys, `${publicKey}\n`),
    stop: async () => {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
};
