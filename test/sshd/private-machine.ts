import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { LOGIN_GROUPS, ROLE_GROUPS, type Role } from '../../src/accounts/role.ts';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import type { Places } from '../../src/places.ts';
import { requireSettings } from '../../src/settings.ts';
import { renderSshdConfig, SSHD_CONFIG_FILES, type SshdConfigInput } from '../../src/sshd/config.ts';
import { prepareHostKeys } from '../../src/sshd/host-keys.ts';
import { probeSshd } from '../../src/sshd/probe.ts';
import { type Sshd, type SshdExit, startSshd } from '../../src/sshd/server.ts';
import { until } from '../e2e/harness/machine.ts';
import { PATIENCE_MS } from '../e2e/harness/patience.ts';

/** A real sshd on a loopback port with accounts that exist in its mount namespace only. */
export type PrivateMachine = {
  readonly places: Places;
  readonly port: number;
  readonly sshd: Sshd;
  readonly lines: string[];
  readonly exits: SshdExit[];
  /** Runs the ssh client as root of the test; never asks, never hangs on a key. */
  readonly ssh: (account: string, ...args: string[]) => ReturnType<typeof runSsh>;
  readonly borg: (args: readonly string[], env?: Record<string, string>) => ReturnType<typeof runBorg>;
  readonly url: (account: string, repository: string) => string;
  readonly close: () => Promise<void>;
};

const ACCOUNTS: readonly { name: string; uid: number; role: Role }[] = [
  { name: 'web01', uid: 20_001, role: 'repo' },
  { name: 'vault', uid: 20_002, role: 'append-only' },
  { name: 'boss', uid: 20_900, role: 'admin' },
  { name: 'stranger', uid: 20_901, role: 'repo' },
];

const freePort = (): Promise<number> =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });

const runSsh = (port: number, key: string, account: string, args: readonly string[]) =>
  execa('ssh', [...clientOptions(key), '-p', String(port), `${account}@127.0.0.1`, ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: PATIENCE_MS,
  });

const clientOptions = (key: string): string[] =>
  '-F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o KexAlgorithms=curve25519-sha256 -i'
    .split(' ')
    .concat(key);

const runBorg = (home: string, key: string, args: readonly string[], env: Record<string, string> = {}) =>
  execa('borg', args, {
    reject: false,
    stdin: 'ignore',
    timeout: PATIENCE_MS,
    env: {
      BORG_BASE_DIR: home,
      BORG_SELFTEST: 'disabled',
      BORG_RSH: `ssh ${clientOptions(key).join(' ')}`,
      BORG_PASSPHRASE: 'secret',
      BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES',
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
      ...env,
    },
  });

/** sshd's StrictModes wants every folder above a key file to be root's alone: below /run, not /tmp. */
export const startPrivateMachine = async (overrides: Partial<SshdConfigInput> = {}): Promise<PrivateMachine> => {
  const root = mkdtempSync('/run/borgserver-test-');
  chmodSync(root, 0o755);
  const places: Places = {
    sshkeys: join(root, 'sshkeys'),
    repos: join(root, 'repos'),
    state: join(root, 'repos/.borgserver'),
    run: join(root, 'run'),
    extrausers: join(root, 'extrausers'),
    etc: join(root, 'etc'),
  };
  for (const folder of [
    places.run,
    places.etc,
    join(places.run, 'authorized_keys'),
    places.repos,
    join(root, 'home'),
  ]) {
    mkdirSync(folder, { recursive: true });
  }
  const key = join(root, 'client');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'client', '-f', key]);
  chmodSync(places.repos, 0o1771);
  chownSync(places.repos, 0, 20_900);
  const database = { passwd: readFileSync('/etc/passwd', 'utf8'), group: readFileSync('/etc/group', 'utf8') };
  for (const role of LOGIN_GROUPS) {
    database.group += `${role.name}:x:${role.gid}:${role.name === 'borg-admin' ? 'boss' : ''}\n`;
  }
  for (const { name, uid, role } of ACCOUNTS) {
    const admin = role === 'admin';
    const home = admin ? places.repos : join(places.repos, name);
    const gid = admin ? uid : name === 'stranger' ? 65_534 : ROLE_GROUPS[role].gid;
    database.passwd += `${name}:x:${uid}:${gid}::${home}:/bin/sh\n`;
    database.group += `${name}:x:${uid}:${name},boss\n`;
    if (!admin) {
      mkdirSync(home);
      chownSync(home, uid, uid);
      chmodSync(home, 0o2770);
    }
    copyFileSync(`${key}.pub`, join(places.run, 'authorized_keys', name));
  }
  writeFileSync(join(places.etc, 'passwd'), database.passwd);
  writeFileSync(join(places.etc, 'group'), database.group);
  const shadow = ACCOUNTS.map(({ name }) => `${name}:*:19000:0:99999:7:::\n`).join('');
  writeFileSync(join(places.etc, 'shadow'), readFileSync('/etc/shadow', 'utf8') + shadow, { mode: 0o640 });

  const binds = ['passwd', 'group', 'shadow'].map((name) => `mount --bind ${places.etc}/${name} /etc/${name}`);
  const holder = spawn(
    'unshare',
    ['--mount', 'sh', '-c', `${binds.join(' && ')} && echo ready && exec sleep infinity`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await new Promise<void>((ready, failed) => {
    holder.stdout.once('data', () => ready());
    holder.once('exit', () => failed(new Error('no private mount namespace')));
  });

  const probe = await probeSshd();
  const inside = join(root, 'sshd');
  writeFileSync(inside, `#!/bin/sh\nexec nsenter --target ${holder.pid} --mount -- ${probe.path} "$@"\n`, {
    mode: 0o755,
  });
  const { python } = findBorg();
  const launcher = await installLauncher(places.run, python, resolve('image/borg-serve'));
  const port = await freePort();
  const hostKeys = await prepareHostKeys({ folder: join(places.sshkeys, 'host'), run: places.run });
  const configPath = join(places.run, SSHD_CONFIG_FILES.main);
  const config = renderSshdConfig({
    address: 'HOST:PORT',
    places,
    settings: requireSettings({}),
    ports: [port],
    listenAddresses: ['127.0.0.1'],
    hostKeys: hostKeys.map(({ privatePath }) => privatePath),
    hostId: 'test-host@1',
    python,
    launcher,
    memory: 8e9,
    box: 'required',
    client: null,
    serveArguments: { repo: [], 'append-only': [], admin: [] },
    supported: probe.supported,
    version: probe.version,
    penalties: probe.penalties,
    ...overrides,
  });
  writeFileSync(configPath, config.main);
  writeFileSync(join(places.run, SSHD_CONFIG_FILES.repositories), config.repositories);
  const lines: string[] = [];
  const exits: SshdExit[] = [];
  const sshd = await startSshd({
    sshd: inside,
    configPath,
    ...{ python, starter: resolve('image/sshd-with-log') },
    onMessage: ({ text }) => lines.push(text),
    onExit: (reason) => exits.push(reason),
  });
  await until('sshd to listen', (saw) => saw(lines).some((line) => line.startsWith('Server listening')));
  return {
    places,
    port,
    sshd,
    lines,
    exits,
    ssh: (account, ...args) => runSsh(port, key, account, args),
    borg: (args, env) => runBorg(join(root, 'home'), key, args, env),
    url: (account, repository) => `ssh://${account}@127.0.0.1:${port}${places.repos}/${repository}`,
    close: async () => {
      await sshd.stop();
      holder.kill('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    },
  };
};
