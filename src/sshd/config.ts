import { LOGIN_GROUPS, ROLE_GROUPS } from '../accounts/role.ts';
import { shellQuote } from '../borg/serve-arguments.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { plain, plainAddress, plainNumber } from './config-words.ts';
import { keepaliveFor } from './keepalive.ts';
import { penaltiesOf } from './penalties.ts';
import type { OptionalOption } from './probe.ts';
import { doorOf, type SessionClient } from './session-client.ts';
import { adminRole, coldCommand, repositoryRoles, type SessionInput, type SessionRole } from './session-roles.ts';
import { startupsFor } from './startups.ts';

export type SshdConfigInput = SessionInput & {
  readonly places: Pick<Places, 'run' | 'repos'>;
  readonly settings: Pick<
    Settings,
    | 'SSH_PORT'
    | 'SSH_LOG_LEVEL'
    | 'CLIENT_ALIVE_INTERVAL'
    | 'CLIENT_ALIVE_COUNT_MAX'
    | 'LOGIN_GRACE_TIME'
    | 'MAX_STARTUPS'
    | 'PER_SOURCE_PENALTIES'
  > &
    SessionInput['settings'];
  /** Every port to listen on; SSH_PORT if left out. */
  readonly ports?: readonly number[];
  /** Numeric addresses to listen on; all addresses of the machine if left out. */
  readonly listenAddresses?: readonly string[];
  /** Host and port by which clients reach the server, as in a URL (urlAuthority). A refusal tells it to them. */
  readonly address: string;
  /** The private host keys for sshd: paths of copies that only root can read. */
  readonly hostKeys: readonly string[];
  /** BORG_HOST_ID of every borg on this server. */
  readonly hostId: string;
  /** borg's own interpreter and the launcher that it runs, as absolute paths. */
  readonly python: string;
  readonly launcher: string;
  /** The program that hands a session to the session host; null: each session loads borg itself. */
  readonly client: SessionClient | null;
  /** The server's memory in bytes. MaxStartups `auto` depends on it. */
  readonly memory: number;
  /** The server's TZ. Sessions do not get it if it is anything but the name of a zone. */
  readonly timeZone?: string | undefined;
  readonly supported: ReadonlySet<OptionalOption>;
  /** As sshd says it: OpenSSH_9.2p1. */
  readonly version: string;
  /** The classes of PerSourcePenalties that this sshd knows. */
  readonly penalties: readonly string[];
};

/** sshd's configuration: the file that sshd starts with, and the file that it includes. */
export type SshdConfig = { readonly main: string; readonly repositories: string };

/** The names of both files below the run folder. */
export const SSHD_CONFIG_FILES = { main: 'sshd_config', repositories: 'sshd_config.repositories' } as const;

/**
 * Renders the whole sshd_config(5). Equal input gives equal bytes. Nothing in /etc/ssh is read or included.
 *
 * @throws Error with cause `{ code: 'unsafe-sshd-config', found }` if a path, an address or the host id could be read as more than one word
 */
export const renderSshdConfig = (input: SshdConfigInput): SshdConfig => ({
  main: text([...listening(input), ...login(input), ...nothingElse(input), ...sessions(input), ...roles(input)]),
  repositories: text(repositoryRoles(input).flatMap((each) => block(input, each))),
});

const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

const listening = ({ settings, ports, listenAddresses, hostKeys, memory }: SshdConfigInput): string[] => [
  ...(ports ?? [settings.SSH_PORT]).map((port) => `Port ${plainNumber(port)}`),
  ...(listenAddresses ?? []).map((address) => `ListenAddress ${plain(address)}`),
  ...hostKeys.map((path) => `HostKey ${plain(path)}`),
  'PidFile none',
  // At least VERBOSE: the server needs those lines to recognise sessions. A lower SSH_LOG_LEVEL only filters what is shown.
  `LogLevel ${settings.SSH_LOG_LEVEL.startsWith('DEBUG') ? settings.SSH_LOG_LEVEL : 'VERBOSE'}`,
  'UseDNS no',
  ...startups(startupsFor(settings.MAX_STARTUPS, memory)),
  `LoginGraceTime ${plainNumber(settings.LOGIN_GRACE_TIME)}`,
];

/** sshd's default for MaxStartups, 10:30:100, drops clients if many begin in the same minute of the night. */
const startups = ({ most, perSource }: ReturnType<typeof startupsFor>): string[] => [
  `MaxStartups ${plainNumber(most)}`,
  `PerSourceMaxStartups ${plainNumber(perSource)}`,
  // A client with one IPv6 address usually has 2 ** 64 of them.
  'PerSourceNetBlockSize 32:64',
];

const login = ({ settings, supported, penalties }: SshdConfigInput): string[] => [
  // An account without a role has no keys: only the blocks below name a key file. AllowGroups would only repeat that, and make sshd look up
  // every group of an admin a third time (see roles).
  'AuthorizedKeysFile none',
  // Strangers try root first. This refuses it before any key, and the log says why. Comparing a name needs no look at the groups.
  'DenyUsers root',
  'StrictModes yes',
  'PubkeyAuthentication yes',
  'AuthenticationMethods publickey',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'HostbasedAuthentication no',
  ...when(supported, 'GSSAPIAuthentication', 'no'),
  ...when(supported, 'KerberosAuthentication', 'no'),
  'UsePAM no',
  'PermitRootLogin no',
  // An agent offers all its keys before the right one. There is no password to guess.
  'MaxAuthTries 20',
  ...when(supported, 'RequiredRSASize', '2048'),
  ...punishment(settings.PER_SOURCE_PENALTIES, penalties).flatMap((value) =>
    when(supported, 'PerSourcePenalties', value),
  ),
];

const punishment = (wanted: Settings['PER_SOURCE_PENALTIES'], classes: readonly string[]): string[] => {
  switch (wanted) {
    case 'unauthenticated':
      return [penaltiesOf(classes)].filter(Boolean);
    case 'default':
      return [];
    case 'none':
      return ['no'];
  }
};

const nothingElse = ({ supported }: SshdConfigInput): string[] => [
  'DisableForwarding yes',
  'AllowTcpForwarding no',
  'AllowStreamLocalForwarding no',
  'AllowAgentForwarding no',
  'X11Forwarding no',
  'GatewayPorts no',
  'PermitTunnel no',
  'PermitTTY no',
  'PermitUserRC no',
  'PermitUserEnvironment no',
  'Banner none',
  'PrintMotd no',
  'PrintLastLog no',
  ...when(supported, 'DebianBanner', 'no'),
  "ForceCommand echo 'This account has no role on this server.' >&2; exit 1",
];

/** The environment of a session, without the variables that sshd always sets. */
export const sessionEnvironment = ({
  repos,
  hostId,
  address,
  timeZone,
}: {
  readonly repos: string;
  readonly hostId: string;
  readonly address: string;
  readonly timeZone?: string | undefined;
}): Readonly<Record<string, string>> => ({
  BORG_BASE_DIR: repos,
  BORG_HOST_ID: hostId,
  BORGSERVER_ADDRESS: address,
  BORG_SELFTEST: 'disabled',
  ...(timeZone !== undefined && /^[A-Za-z0-9][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(timeZone) && { TZ: timeZone }),
});

const sessions = ({ places, settings, hostId, timeZone, address, supported, version }: SshdConfigInput): string[] => [
  // Several borg over one multiplexed connection are fine. Each is a process, so there is a limit.
  'MaxSessions 50',
  ...keepaliveFor(settings, version).map(([option, value]) => `${option} ${plainNumber(value)}`),
  // For `ssh -N`, or a forgotten multiplexing client: it is logged in, and has no session open.
  ...when(supported, 'UnusedConnectionTimeout', '15m'),
  // Only the first SetEnv counts. borg serve keeps nothing below BORG_BASE_DIR; ~ in a repository's URL means that folder.
  `SetEnv ${Object.entries(
    sessionEnvironment({ repos: plain(places.repos), hostId: plain(hostId), address: plainAddress(address), timeZone }),
  )
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`,
];

/**
 * The first Match block that matches wins. The narrowest comes first, so that an account in two groups gets less, not more.
 *
 * Each Match line makes sshd look up every group of the login again, and an admin is in the private group of every account: with
 * 10,000 accounts that takes 50 ms a line. sshd reads the Match lines of an included file only if the block around the Include
 * matches. So for an admin's login it checks two Match lines instead of five. If the included file is missing, sshd says nothing and
 * goes on, and the ForceCommand that refuses stays in force.
 */
const roles = (input: SshdConfigInput): string[] => [
  '',
  `Match Group ${REPOSITORY_GROUPS.map(({ name }) => name).join(',')}`,
  keys(input),
  `    Include ${plain(input.places.run)}/${SSHD_CONFIG_FILES.repositories}`,
  ...block(input, adminRole(input)),
  keys(input),
];

const keys = ({ places }: SshdConfigInput): string => `    AuthorizedKeysFile ${plain(places.run)}/authorized_keys/%u`;

const REPOSITORY_GROUPS = LOGIN_GROUPS.filter(({ gid }) => gid !== ROLE_GROUPS.admin.gid);

const block = (input: SshdConfigInput, role: SessionRole): string[] => [
  '',
  `Match Group ${role.group.name}`,
  `    ForceCommand ${forcedCommand(input, role)}`,
];

/** sshd runs the rest of the line by /bin/sh -c, as the account. */
const forcedCommand = ({ python, launcher, client, places }: SshdConfigInput, role: SessionRole): string => {
  const cold = coldCommand(python, launcher, role);
  if (client === null) return cold;
  const words = [client.perl, client.program, plainNumber(client.sendmsg), doorOf(places.run, role.group)];
  return `exec ${words.map(plain).join(' ')} "$USER" ${shellQuote(cold)}`;
};

const when = (supported: ReadonlySet<OptionalOption>, name: OptionalOption, value: string): string[] =>
  supported.has(name) ? [`${name} ${value}`] : [];
