import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENVIRONMENT_OF_BORG, mayBeLoaded, runLoadedBorg } from './loaded-borg.ts';
import { BASE_ENVIRONMENT } from './machine.ts';
import { PATIENCE_SECONDS } from './patience.ts';
import { type ProgramOptions, type Running, run } from './program.ts';
import type { Server } from './server.ts';

/** A key pair of a client: the private file's path, the public line as it goes into a key file (no newline), the SHA256 fingerprint. */
export type Key = {
  readonly private: string;
  readonly public: string;
  readonly fingerprint: string;
};

/** OpenSSH 9's default costs a client 130 ms of CPU, this algorithm 13. No test is about the exchange of keys. */
export const CHEAP_KEY_EXCHANGE = 'KexAlgorithms=curve25519-sha256';

export type ClientOptions = ProgramOptions & {
  /** The key to log in with, if not the client's first one. */
  readonly key?: Key;
};

/** Somebody's machine with borg on it: a home, caches and keys of its own, and the server's host keys as known hosts. */
export type Client = {
  /** The client's own folder, which is its HOME. Tests may put there what they want to back up. */
  readonly home: string;
  /** Its first key, ed25519. */
  readonly key: Key;
  /** Makes another key: `ed25519` (default), `ecdsa` or `rsa`, without a passphrase. */
  newKey(type?: string): Promise<Key>;
  /** `ssh://account@127.0.0.1:port/repos/repository`. Without `repository` it is the account's own. */
  url(account: string, repository?: string): string;
  /**
   * Runs borg with the passphrase `borgserver` (BORG_PASSPHRASE; another one by `env`). Strict host keys, no questions.
   * `BORG_RSH` is set: give `--remote-path` and the like as words.
   */
  borg(words: readonly string[], options?: ClientOptions): Running;
  /** Runs `ssh ACCOUNT@server WORDS`; `flags` go before the destination, such as `['-N', '-L', '…']`. */
  ssh(
    account: string,
    words: readonly string[],
    options?: ClientOptions & { readonly flags?: readonly string[] },
  ): Running;
  /** The options that make ssh, scp and sftp use this client's key and known hosts, without the port. */
  sshFlags(key?: Key): readonly string[];
  /** Takes the server's present host keys as the known ones. Done once when the client is created. */
  rememberHost(): Promise<void>;
  cleanup(): Promise<void>;
};

/** A new client of the server. */
export const createClient = async (server: Pick<Server, 'sshkeys' | 'port'>): Promise<Client> => {
  const home = await mkdtemp(join(tmpdir(), 'borgserver-client-'));
  await mkdir(join(home, '.ssh'), { mode: 0o700 });
  const knownHosts = join(home, '.ssh/known_hosts');
  const env = {
    ...BASE_ENVIRONMENT,
    HOME: home,
    BORG_BASE_DIR: home,
    BORG_PASSPHRASE: 'borgserver',
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'no',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'no',
    ...ENVIRONMENT_OF_BORG,
  };
  let keys = 0;

  const newKey = async (type = 'ed25519'): Promise<Key> => {
    keys += 1;
    const file = join(home, `.ssh/key${keys}`);
    await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `client-${keys}@example.org`, '-f', file], env);
    const listed = (await run('ssh-keygen', ['-lf', `${file}.pub`], env)).stdout;
    return {
      private: file,
      public: (await readFile(`${file}.pub`, 'utf8')).trim(),
      fingerprint: listed.split(' ')[1] ?? '',
    };
  };

  const rememberHost = async () => {
    const folder = join(server.sshkeys, 'host');
    const files = (await readdir(folder)).filter((name) => name.endsWith('.pub'));
    const lines = await Promise.all(files.map(async (name) => (await readFile(join(folder, name), 'utf8')).trim()));
    await writeFile(knownHosts, lines.map((line) => `[127.0.0.1]:${server.port} ${line}\n`).join(''));
  };

  const key = await newKey();
  const sshFlags = (used = key): string[] => [
    ...['-F', 'none', '-i', used.private],
    ...[
      `UserKnownHostsFile=${knownHosts}`,
      'GlobalKnownHostsFile=none',
      'StrictHostKeyChecking=yes',
      'UpdateHostKeys=no',
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'BatchMode=yes',
      `ConnectTimeout=${PATIENCE_SECONDS}`,
      'LogLevel=ERROR',
      CHEAP_KEY_EXCHANGE,
    ].flatMap((option) => ['-o', option]),
  ];

  await rememberHost();
  return {
    home,
    key,
    newKey,
    url: (account, repository = account) => `ssh://${account}@127.0.0.1:${server.port}/repos/${repository}`,
    borg: (words, options = {}) => {
      const base = { ...env, BORG_RSH: ['ssh', ...sshFlags(options.key)].join(' ') };
      return mayBeLoaded(options)
        ? runLoadedBorg(words, { ...base, ...options.env }, options)
        : run('borg', words, base, options);
    },
    ssh: (account, words, options = {}) =>
      run(
        'ssh',
        [
          ...sshFlags(options.key),
          '-p',
          String(server.port),
          ...(options.flags ?? []),
          `${account}@127.0.0.1`,
          ...words,
        ],
        env,
        options,
      ),
    sshFlags,
    rememberHost,
    cleanup: () => rm(home, { recursive: true, force: true }),
  };
};
