import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher, sessionHostBelow } from '../../src/borg/launcher.ts';
import type { HostProgram } from '../../src/sessions/host-process.ts';
import { SENDMSG } from '../../src/sshd/session-client.ts';
import { showWhereWaitsFail, until } from '../e2e/harness/machine.ts';
import { type Change, launcherWith } from './launcher-without.ts';

/** A line that the host writes to the daemon. */
export type HostLine = { readonly event: string } & { readonly [field: string]: unknown };

export type RealHost = {
  readonly folder: string;
  readonly child: ChildProcessWithoutNullStreams;
  readonly lines: HostLine[];
  /** What the host and its sessions have written to the host's standard error. */
  readonly said: () => string;
  /** The lines of one kind. */
  readonly of: (event: string) => readonly HostLine[];
};

export type HostOptions = {
  readonly sessions?: number;
  readonly shared?: boolean;
  /** Words after `serve`, as an operator sets them. */
  readonly more?: readonly string[];
  /** The name of the account instead of web01. Sessions are counted by name and user id, even those of other test files that run meanwhile. */
  readonly account?: string;
  /** The user id of the account. web02 has the next one. */
  readonly uid?: number;
  /** An interpreter that finds another borg than the machine's. */
  readonly python?: string;
  /** What is changed in the launcher. */
  readonly changes?: readonly Change[];
};

export type ClientOptions = {
  readonly account?: string;
  readonly command?: string;
  readonly uid?: number;
  /** The first one is the primary group. */
  readonly groups?: readonly number[];
  readonly role?: string;
  /** What /bin/sh runs if no session of the host begins. */
  readonly cold?: string;
  /** A command that stands for the client's parent. It gets the words that start the client. */
  readonly by?: readonly string[];
  /** A command that starts everything, root's part, too. It gets the words for that. */
  readonly there?: readonly string[];
  /** How many seconds it waits for the host, in place of the shipped ten. */
  readonly patience?: number;
};

export const ROLES = { repo: 770, admin: 772 } as const;
export const PGID = 4711;
/** What the cold start says if no session of the host begins. */
export const COLD = 'COLD';

const SHIPPED = join(import.meta.dirname, '../../image');

/** A folder with the launcher, an account database of its own, and a repository folder for each account. */
export const prepareHost = async (options: HostOptions = {}) => {
  const { account = 'web01', uid = 30_101 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'session-host-'));
  chmodSync(folder, 0o755);
  const launcher = options.changes ? launcherWith(folder, ...options.changes) : join(SHIPPED, 'borg-serve');
  await installLauncher(folder, options.python ?? findBorg().python, launcher);
  const passwd = [
    `${account}:x:${uid}:770:borgserver quota=20000000:REPOS/${account}:/bin/sh`,
    `web02:x:${options.shared ? uid : uid + 1}:770:borgserver:REPOS/web02:/bin/sh`,
    `boss:x:1000:${PGID}:borgserver:REPOS:/bin/sh`,
    `chief:x:1000:${PGID}:borgserver:REPOS:/bin/sh`,
  ];
  const repos = join(folder, 'repos');
  for (const [name, owner] of [[account, uid] as const, ['web02', uid + 1] as const]) {
    mkdirSync(join(repos, name), { recursive: true });
    chownSync(join(repos, name), owner, owner);
  }
  writeFileSync(join(folder, 'passwd'), passwd.map((line) => `${line.replace('REPOS', repos)}\n`).join(''));
  const words = (restriction: readonly string[]) => [
    ...['--account', '$USER', '--sessions', String(options.sessions ?? 50), '--memory', 'auto', '--min-free', '1'],
    ...['--box', 'auto', '--', 'serve', '--umask', '0007', ...restriction, ...(options.more ?? [])],
  ];
  const terms = {
    ...{ doors: join(folder, 'sessions'), passwd: join(folder, 'passwd'), adminGroup: 'admin', adminGid: PGID },
    sharedGid: options.shared ? PGID : null,
    roles: [
      { group: 'repo', gid: ROLES.repo, words: words(['--restrict-to-repository', `${repos}/$USER`]) },
      { group: 'admin', gid: ROLES.admin, words: words(['--restrict-to-path', repos]) },
    ],
  };
  writeFileSync(join(folder, 'terms.json'), JSON.stringify(terms), { mode: 0o600 });
  return folder;
};

/** The environment and the words with which the host is started. */
export const hostProgram = (folder: string): HostProgram => ({
  python: findBorg().python,
  program: [sessionHostBelow(folder), join(folder, 'terms.json'), '-'.repeat(1024)],
  environment: {
    ...{ PATH: '/usr/bin:/bin', BORG_BASE_DIR: join(folder, 'repos'), BORG_HOST_ID: 'host-of-this-test' },
    ...{ BORGSERVER_ADDRESS: 'backup.example.org', BORG_SELFTEST: 'disabled' },
  },
});

/**
 * Starts the host as the daemon does, and resolves when it is ready.
 *
 * @param more.by a command that gets the words that start the host
 * @param more.program the command that runs the host's program, which gets the words for it
 */
export const startHost = async (
  folder: string,
  more: { readonly by?: readonly string[]; readonly program?: readonly string[] } = {},
): Promise<RealHost> => {
  const { python, program, environment } = hostProgram(folder);
  const [first = python, ...words] = [...(more.by ?? []), python, '-I', ...(more.program ?? []), ...program];
  const child = spawn(first, words, { env: environment });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stdin.on('error', () => {});
  const lines: HostLine[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((each) => JSON.parse(each) as HostLine));
  });
  const of = (event: string) => lines.filter((each) => each.event === event);
  const shown = () => `what the host ${child.pid} said last: ${JSON.stringify(lines.slice(-20))} ${said.slice(-2000)}`;
  hides.push([folder, showWhereWaitsFail(shown)]);
  await until('the host to be ready', () => {
    if (child.exitCode !== null) throw new Error(said);
    return of('ready').length > 0;
  });
  return { folder, child, lines, said: () => said, of };
};

/** What takes the hosts of a folder away from what failed waits show. */
const hides: (readonly [folder: string, hide: () => void])[] = [];

export const removeHost = (folder: string): void => {
  for (const [of, hide] of hides) if (of === folder) hide();
  rmSync(folder, { recursive: true, force: true });
};

/** The shipped client, or a copy of it in this folder that waits so many seconds for the host. */
const clientProgram = (folder: string, patience?: number): string => {
  const shipped = join(SHIPPED, 'session-client');
  if (patience === undefined) return shipped;
  const copy = join(folder, `session-client-${patience}`);
  if (existsSync(copy)) return copy;
  const parts = readFileSync(shipped, 'utf8').split('$patience = 120;');
  if (parts.length !== 2) throw new Error('the client has another patience');
  writeFileSync(copy, parts.join(`$patience = ${patience};`), { mode: 0o644 });
  return copy;
};

/**
 * Starts the client as sshd does: below a process of the account's, which has root's above it. By default the cold start only says COLD, and
 * ends with 3.
 */
export const startClient = (folder: string, options: ClientOptions = {}): ChildProcessWithoutNullStreams => {
  const { account = 'web01', command = 'borg serve', uid = 30_101, role = 'repo' } = options;
  const { cold = `echo ${COLD} >&2; exit 3`, by = ['/bin/sh', '-c', '"$@"; exit $?', 'sh'] } = options;
  const groups = options.groups ?? [ROLES.repo, uid];
  const login = ['setpriv', '--reuid', `${uid}`, '--regid', `${groups[0]}`, '--groups', groups.join()];
  const client = ['/usr/bin/perl', clientProgram(folder, options.patience), `${SENDMSG[process.arch]}`];
  const words = [...login, ...by, ...client, `${folder}/sessions/${role}/door`, account, cold];
  const [first = '', ...rest] = [...(options.there ?? []), '/bin/sh', '-c', '"$@"; exit $?', 'sh', ...words];
  return spawn(first, rest, {
    env: {
      ...{ PATH: '/usr/sbin:/usr/bin:/sbin:/bin', BORG_BASE_DIR: `${folder}/repos`, BORG_HOST_ID: 'host-of-this-test' },
      ...{ SSH_CONNECTION: '192.0.2.1 1024 192.0.2.2 22', SSH_ORIGINAL_COMMAND: command },
    },
  });
};

/** Writes this to a client and closes its input. Resolves at its end with its output, as Latin-1, and its exit code. */
export const heard = async (client: ChildProcessWithoutNullStreams, input: Uint8Array | string = '') => {
  const [out, error]: [Buffer[], Buffer[]] = [[], []];
  client.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  client.stderr.on('data', (chunk: Buffer) => error.push(chunk));
  // The client may end before it has read everything.
  client.stdin.on('error', () => {});
  client.stdin.end(input);
  const [code] = (await once(client, 'close')) as [number | null];
  return { code, out: Buffer.concat(out).toString('latin1'), error: Buffer.concat(error).toString() };
};
