/** A client's end of a connection. In the log, address and port together are the connection's name. */
export type Peer = { readonly address: string; readonly port: number };

/** Why a connection ended. 'vanished': the client stopped answering (ClientAliveCountMax). 'unused': it opened no session. */
export type CloseReason = 'disconnected' | 'closed' | 'reset' | 'timed-out' | 'vanished' | 'unused' | 'broken';

export type RefusalReason =
  /** There is no such account. */
  | 'unknown-user'
  /** An account of the machine, but not one of the server's roles; or a locked one. */
  | 'not-allowed'
  /** One key (or another method) did not let the client in. */
  | 'failed'
  | 'too-many-keys'
  | 'nothing-in-common'
  | 'not-ssh'
  | 'login-timeout';

/**
 * What one line of sshd's log says. A client chose some texts (`user` in 'refused' and 'closed', `detail`). sshd has escaped them as
 * vis(3) does, but they are still hostile: print them through printable().
 */
export type SshdEvent =
  | ({ readonly kind: 'listening' } & Peer)
  | ({ readonly kind: 'connected' } & Peer)
  /** Comes before 'accepted' and names no peer. Lines of other connections may come between. File and fingerprint tell whose it is. */
  | {
      readonly kind: 'key-found';
      readonly keyType: string;
      readonly fingerprint: string;
      readonly file: string;
      readonly line: number;
    }
  | ({
      readonly kind: 'accepted';
      readonly user: string;
      readonly keyType: string;
      readonly fingerprint: string;
    } & Peer)
  /** Comes after 'accepted' and names no peer. `pid` is the process that runs as the account; its parent is the connection's monitor. */
  | { readonly kind: 'user-child'; readonly pid: number }
  /** One connection may carry several sessions, each with an id of its own. `command` begins with forced-command. */
  | ({ readonly kind: 'session-started'; readonly user: string; readonly id: number; readonly command: string } & Peer)
  | ({ readonly kind: 'session-closed'; readonly user: string; readonly id: number } & Peer)
  /** The connection is over; `user` is null if the line names nobody. sshd says it twice of some, and never of one that a signal ended. */
  | ({
      readonly kind: 'closed';
      readonly reason: CloseReason;
      readonly user: string | null;
      readonly loggedIn: boolean;
    } & Peer)
  | {
      readonly kind: 'refused';
      readonly reason: RefusalReason;
      readonly user: string | null;
      readonly address: string | null;
      readonly port: number | null;
      readonly detail: string;
    }
  /** Comes before the 'refused' of the same process: a key was right, but one of its options forbade the login (expired, another address). */
  | { readonly kind: 'options-refused' }
  /** Comes before the 'closed' of the same process: an old client's signature (ssh-rsa with SHA-1). sshd may say nothing else about it. */
  | { readonly kind: 'signature-refused' }
  | ({
      readonly kind: 'dropped';
      readonly reason: 'max-startups' | 'penalty' | 'other';
      readonly detail: string;
    } & Peer)
  /** From now on sshd drops every connection from a network, for so many seconds. */
  | { readonly kind: 'penalty'; readonly network: string; readonly seconds: number; readonly detail: string }
  | { readonly kind: 'stopping'; readonly signal: number }
  /** A problem that an operator must solve: a port in use, or others may write to a folder above the authorized keys. */
  | { readonly kind: 'trouble'; readonly text: string }
  | { readonly kind: 'other'; readonly text: string };

type Groups = Readonly<Record<string, string | undefined>>;
type Rule = readonly [pattern: RegExp, event: (groups: Groups) => SshdEvent];

const ADDRESS = '(?<address>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?|UNKNOWN)';
const PEER = `${ADDRESS} port (?<port>\\d+)`;
const FROM = `from ${PEER}`;
/** The name of somebody who is logged in: sshd has checked it. */
const USER = '(?<user>[A-Za-z0-9_.-]+)';
/** 43 is the length of a SHA-256 in base64. A longer one comes from somebody who wants sshd to cut off the end of the line. */
const KEY = '(?<keyType>[A-Za-z0-9-]+) (?<fingerprint>SHA256:[A-Za-z0-9+/]{43})';
/** Before the login a name is whatever the client sent. It matches as much as possible, so that the last address counts: that is sshd's. */
const WHOEVER = '(?:(?<stage>user|authenticating user|invalid user) (?<user>.*) )?';

const peer = (groups: Groups): Peer => ({ address: groups.address ?? '', port: Number(groups.port) });

const rule = (pattern: string, event: (groups: Groups) => SshdEvent): Rule => [new RegExp(`^${pattern}$`, 's'), event];

const closed = (pattern: string, reason: CloseReason): Rule =>
  rule(pattern, (groups) => ({
    kind: 'closed',
    reason,
    user: groups.user ?? null,
    loggedIn: groups.stage === 'user',
    ...peer(groups),
  }));

const refused = (pattern: string, reason: RefusalReason): Rule =>
  rule(pattern, (groups) => ({
    kind: 'refused',
    reason,
    user: groups.user ?? null,
    address: groups.address ?? null,
    port: groups.port === undefined ? null : Number(groups.port),
    detail: groups.detail ?? '',
  }));

const trouble = (pattern: string): Rule => rule(pattern, ({ text = '' }) => ({ kind: 'trouble', text }));

/** sshd 9.2 to 10.6 at LogLevel VERBOSE. Every pattern matches a whole line. */
const RULES: readonly Rule[] = [
  rule(`Accepted key ${KEY} found at (?<file>/.*):(?<line>\\d+)`, (groups) => ({
    kind: 'key-found',
    keyType: groups.keyType ?? '',
    fingerprint: groups.fingerprint ?? '',
    file: groups.file ?? '',
    line: Number(groups.line),
  })),
  rule(`Accepted publickey for ${USER} ${FROM} ssh2: ${KEY}`, (groups) => ({
    kind: 'accepted',
    user: groups.user ?? '',
    keyType: groups.keyType ?? '',
    fingerprint: groups.fingerprint ?? '',
    ...peer(groups),
  })),
  rule('User child is on pid (?<pid>\\d+)', ({ pid }) => ({ kind: 'user-child', pid: Number(pid) })),
  rule(`Starting session: (?<command>.*) for ${USER} ${FROM} id (?<id>\\d+)`, (groups) => ({
    kind: 'session-started',
    user: groups.user ?? '',
    id: Number(groups.id),
    command: groups.command ?? '',
    ...peer(groups),
  })),
  rule(`Close session: user ${USER} ${FROM} id (?<id>\\d+)`, (groups) => ({
    kind: 'session-closed',
    user: groups.user ?? '',
    id: Number(groups.id),
    ...peer(groups),
  })),
  rule(`Connection ${FROM} on \\S+ port \\d+(?: rdomain ".*")?`, (groups) => ({ kind: 'connected', ...peer(groups) })),
  closed(`Disconnected from ${WHOEVER}${PEER}`, 'disconnected'),
  closed(`Connection closed by ${WHOEVER}${PEER}`, 'closed'),
  closed(`Connection reset by ${WHOEVER}${PEER}`, 'reset'),
  closed(`Connection from ${WHOEVER}${PEER} timed out`, 'timed-out'),
  closed(`Timeout, client not responding from ${WHOEVER}${PEER}`, 'vanished'),
  closed(`terminating inactive connection from ${WHOEVER}${PEER}`, 'unused'),
  // The last line of a connection that the client ended without a message; its first line says whose it was.
  closed(`Closing connection to ${PEER}`, 'closed'),
  // The end of this line may be the client's own text ("Change of username …"). So only the one end counts that a client cannot write.
  closed(`Disconnecting ${WHOEVER}${PEER}: Too many authentication failures`, 'disconnected'),
  closed(`Disconnecting (?<stage>user) ${USER} ${PEER}: .*`, 'disconnected'),
  closed(`(?:[a-z_]+: )*Connection from (?:(?<stage>user) ${USER} )?${PEER}: .*`, 'broken'),
  refused(`Invalid user (?<user>.*) ${FROM}`, 'unknown-user'),
  refused(`User ${USER} from ${ADDRESS} not allowed because (?<detail>.*)`, 'not-allowed'),
  refused(`User ${USER} not allowed because (?<detail>.*)`, 'not-allowed'),
  refused(`maximum authentication attempts exceeded for (?:invalid user )?(?<user>.*) ${FROM} ssh2`, 'too-many-keys'),
  refused(
    `Failed \\S+ for (?:invalid user )?(?<user>.*) ${FROM} ssh2(?:: (?<detail>[A-Za-z0-9-]+ SHA256:\\S+))?`,
    'failed',
  ),
  // A certificate's ID is the client's own text, and comes last in the line: here the first address counts.
  refused(`Failed publickey for ${USER} ${FROM} ssh2: (?<detail>[A-Za-z0-9-]+-CERT SHA256:\\S+) ID .*`, 'failed'),
  rule('Refused by key options(?: at .*)?', () => ({ kind: 'options-refused' })),
  rule('userauth_pubkey: signature algorithm [a-z0-9@.-]{1,64} not in PubkeyAcceptedAlgorithms', () => ({
    kind: 'signature-refused',
  })),
  refused(`Unable to negotiate with ${PEER}: (?<detail>.*)`, 'nothing-in-common'),
  refused(`banner exchange: Connection ${FROM}: (?<detail>.*)`, 'not-ssh'),
  refused(`Timeout before authentication for connection from ${ADDRESS} to \\S+, pid = \\d+`, 'login-timeout'),
  refused(`Timeout before authentication for ${PEER}`, 'login-timeout'),
  rule(`drop connection #\\d+ from \\[${ADDRESS}\\]:(?<port>\\d+) on \\S+ (?<detail>.*)`, (groups) => ({
    kind: 'dropped',
    reason: dropReason(groups.detail ?? ''),
    detail: groups.detail ?? '',
    ...peer(groups),
  })),
  rule(
    `srclimit_penalise: (?<network>[0-9A-Fa-f:./]+): activating \\S+ penalty of (?<seconds>\\d+(?:\\.\\d+)?) seconds for penalty: (?<detail>.*)`,
    (groups) => ({
      kind: 'penalty',
      network: groups.network ?? '',
      seconds: Number(groups.seconds),
      detail: groups.detail ?? '',
    }),
  ),
  rule(`Server listening on ${PEER}\\.`, (groups) => ({ kind: 'listening', ...peer(groups) })),
  rule(`Received signal (?<signal>\\d+); terminating\\.`, ({ signal }) => ({
    kind: 'stopping',
    signal: Number(signal),
  })),
  trouble('(?<text>Authentication refused: bad ownership or modes for .*)'),
  trouble('(?<text>Bind to port \\d+ on \\S+ failed: .*|Cannot bind any address\\.)'),
  trouble('(?<text>(?:Unable to load host key|no hostkeys available|Missing privilege separation directory).*)'),
];

const dropReason = (detail: string): 'max-startups' | 'penalty' | 'other' => {
  if (/^(past )?maxstartups$/i.test(detail)) return 'max-startups';
  return detail.startsWith('penalty: ') ? 'penalty' : 'other';
};

/** What sshd's process for clients before their login may say. It cannot know the rest. */
const FROM_STRANGERS: ReadonlySet<SshdEvent['kind']> = new Set(['connected', 'closed', 'refused', 'signature-refused']);
const PASSED_ON = ' [preauth]';
/** sshd cuts a message at 1 kB. That may cut off the words at its end which say that the process for strangers has said it (PASSED_ON). */
const MOST_CHARACTERS = 1000;

/**
 * Reads one message that `sshd -e` wrote. If the meaning is not certain, the result is 'other'. Nothing that a client sends as its name, its
 * version, its certificate or its disconnect message can make the result say something that sshd does not. The result is only a label: the
 * kernel tells whether it is true.
 */
export const parseLogLine = (text: string): SshdEvent => {
  // The process that talks to strangers said it, and its monitor passed it on.
  const passedOn = text.endsWith(PASSED_ON);
  const line = passedOn ? text.slice(0, -PASSED_ON.length) : text;
  for (const [pattern, event] of RULES) {
    const match = pattern.exec(line);
    if (!match) continue;
    const said = event(match.groups ?? {});
    const mayKnow = !passedOn && text.length < MOST_CHARACTERS;
    const known = mayKnow || (FROM_STRANGERS.has(said.kind) && !(said.kind === 'closed' && said.loggedIn));
    return known ? said : { kind: 'other', text };
  }
  return { kind: 'other', text };
};
