import { accountNamed, type State } from '../accounts/account.ts';
import type { CloseReason, SshdEvent } from '../sshd/log.ts';
import type { Writer } from '../sshd/message.ts';
import type { Connection } from './connections.ts';
import { peerName } from './connections.ts';
import { idOf, type ProcessId } from './process.ts';
import type { Session } from './session.ts';
import { createStrangers, type Refusal } from './strangers.ts';
import { refusedByOption, withOpened } from './why-refused.ts';

export type LedgerEvent =
  /** sshd says so, of a process that is a connection of ours. That is enough to judge it, and for nothing else. */
  | { readonly kind: 'accepted'; readonly session: Session }
  /** The kernel shows it: a process of the account's runs below the connection. */
  | { readonly kind: 'opened'; readonly session: Session }
  /** sshd says that it is over, or soon will be. The kernel tells whether it is. */
  | { readonly kind: 'leaving'; readonly session: Session }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** A login that is told of by a process that is no connection of ours, or has logged in already. */
  | {
      readonly kind: 'contradicted';
      readonly account: string;
      readonly address: string;
      readonly writer: Writer;
      /** The session, where the log told of it before with another account or key: nobody knows any more which of them let it in. */
      readonly session?: Session;
    };

type Entry = {
  readonly session: Session;
  readonly seen: boolean;
  readonly how: CloseReason | null;
  /** The pid of its process that runs as the account, by sshd's word. */
  readonly child: number | null;
  /** When its process was first seen to be gone, by the steady clock; null while it runs. */
  readonly gone: number | null;
};

/** A session that is over. */
export type Closed = Entry;

/** Within this time sshd's last message about a connection is read. It may come after the process is gone. */
const LAST_WORDS_MS = 500;
/** Connections that are remembered between two lines that sshd writes one after the other. */
const MOST_REFUSED = 1000;

/** Takes out the oldest where there are too many: a connection that never gets its second line must not keep later ones out. */
const rememberIn = (connections: Set<string>, id: string): void => {
  connections.add(id);
  const [oldest] = connections;
  if (connections.size > MOST_REFUSED && oldest !== undefined) connections.delete(oldest);
};

/**
 * Joins what sshd says into sessions and refused logins. A session is the root process of its connection, which the kernel names as the writer
 * of the line. Address, port and key are only labels. The ledger holds only what is not over yet.
 *
 * @param isConnection whether the kernel shows it as the root process of a connection of ours
 * @param now milliseconds since the epoch, for people
 * @param steady milliseconds of a steady clock
 */
export const createLedger = (
  state: () => State,
  isConnection: (writer: Writer) => boolean,
  now: () => number,
  steady: () => number = now,
) => {
  const entries = new Map<string, Entry>();
  const strangers = createStrangers(steady);
  const asEvents = (refusals: readonly Refusal[]): readonly LedgerEvent[] =>
    refusals.map((refusal) => ({ kind: 'refused', refusal: withOpened(refusal, state()) }));

  /** Connections of which sshd has just refused a key because of its options. */
  const refusedByOptions = new Set<string>();

  /** Connections of which sshd has just refused an old client's signature. */
  const refusedSignatures = new Set<string>();

  const put = (entry: Entry): Entry => {
    entries.set(idOf(entry.session.process), entry);
    return entry;
  };

  const see = (entry: Entry): readonly LedgerEvent[] =>
    entry.seen ? [] : [{ kind: 'opened', session: put({ ...entry, seen: true }).session }];

  const entryOf = ({ pid, start }: Writer): Entry | undefined => entries.get(idOf({ pid, start }));

  const accepted = (event: Extract<SshdEvent, { kind: 'accepted' }>, writer: Writer): readonly LedgerEvent[] => {
    const { address, port, user, fingerprint } = event;
    const peer = peerName(address, port);
    strangers.forget(peer);
    if (writer.uid !== 0 || (writer.start !== 0 && !isConnection(writer)))
      return [{ kind: 'contradicted', account: user, address, writer }];
    const before = entryOf(writer)?.session;
    if (before && (before.account !== user || before.fingerprint !== fingerprint))
      return [{ kind: 'contradicted', account: user, address, writer, session: before }];
    const account = accountNamed(state(), user);
    const key = account?.keys.find((each) => each.fingerprint === fingerprint);
    const session: Session = {
      ...{ peer, address, port, account: user, fingerprint, since: now(), steadySince: steady() },
      ...{ role: account?.role ?? null, uid: account?.uid ?? null },
      ...{ subRepositories: account?.subRepositories === true, process: { pid: writer.pid, start: writer.start } },
      ...{ comment: key?.comment ?? '', file: key?.file ?? null, line: key?.line ?? null },
    };
    put({ session, seen: false, how: null, child: null, gone: null });
    return [{ kind: 'accepted', session }];
  };

  const refused = (event: Extract<SshdEvent, { kind: 'refused' }>, writer: Writer): readonly LedgerEvent[] => {
    const byOptions = refusedByOptions.delete(idOf(writer));
    const fingerprint = /SHA256:[A-Za-z0-9+/]+/.exec(event.detail)?.[0];
    const { user, address } = event;
    if (event.reason !== 'failed' || user === null || fingerprint === undefined)
      return asEvents(strangers.refused(event, null));
    const why = refusedByOption(state(), { user, fingerprint, address }, now());
    return asEvents(strangers.refused(event, why ?? (byOptions ? 'key-options' : null)));
  };

  /** Either the root process says it, or its child that runs as the account. */
  const closed = (event: Extract<SshdEvent, { kind: 'closed' }>, writer: Writer): readonly LedgerEvent[] => {
    const entry = entryOf(writer) ?? parentOf(writer);
    if (entry) return [{ kind: 'leaving', session: put({ ...entry, how: entry.how ?? event.reason }).session }];
    if (event.loggedIn || writer.uid !== 0) return [];
    return asEvents(strangers.closed(event, refusedSignatures.delete(idOf(writer))));
  };

  /** The session below which this process writes. When its last words are read, it or its parent may be gone already. */
  const parentOf = ({ pid, parent, uid }: Writer): Entry | undefined => {
    if (uid === 0) return undefined;
    for (const entry of entries.values()) {
      const isBelow = entry.session.process.pid === parent || entry.child === pid;
      if (isBelow && entry.session.uid === uid) return entry;
    }
    return undefined;
  };

  /** A writer with the account's user id below the connection is the login: the kernel says so. */
  const witness = (writer: Writer): readonly LedgerEvent[] => {
    const entry = parentOf(writer);
    return entry ? see(entry) : [];
  };

  const follow = (event: SshdEvent, writer: Writer): readonly LedgerEvent[] => {
    switch (event.kind) {
      case 'accepted':
        return accepted(event, writer);
      case 'closed':
        return closed(event, writer);
      case 'options-refused':
        if (writer.uid === 0) rememberIn(refusedByOptions, idOf(writer));
        return [];
      case 'signature-refused':
        if (writer.uid === 0) rememberIn(refusedSignatures, idOf(writer));
        return [];
      case 'refused':
        return writer.uid === 0 ? refused(event, writer) : [];
      case 'dropped':
        return writer.uid === 0 ? asEvents([strangers.dropped(event)]) : [];
      case 'user-child': {
        const entry = entryOf(writer);
        if (entry) put({ ...entry, child: event.pid });
        return [];
      }
      case 'connected':
      case 'key-found':
      case 'session-started':
      case 'session-closed':
      case 'listening':
      case 'penalty':
      case 'stopping':
      case 'trouble':
      case 'other':
        return [];
    }
  };

  return {
    /** Takes one message's event, and says what follows from it. */
    take: (event: SshdEvent, writer: Writer): readonly LedgerEvent[] => [...witness(writer), ...follow(event, writer)],
    /** Takes what the kernel shows. A session that it shows is 'opened'. */
    look: (connections: readonly Connection[]): readonly LedgerEvent[] =>
      connections.flatMap((connection) => {
        const entry = entries.get(idOf(connection));
        return entry && connection.uid !== null && connection.uid === entry.session.uid ? see(entry) : [];
      }),
    /** Sessions that sshd told of longer ago than this, and that the kernel has not shown yet. */
    unseen: (milliseconds: number): readonly Session[] =>
      [...entries.values()]
        .filter(({ seen, session, gone }) => !seen && gone === null && steady() - session.steadySince > milliseconds)
        .map(({ session }) => session),
    /** What follows where sshd has said nothing more of a stranger for this long. */
    overdue: (milliseconds: number): readonly LedgerEvent[] => asEvents(strangers.overdue(milliseconds)),
    sessions: (): readonly Session[] =>
      [...entries.values()].flatMap(({ session, gone }) => (gone === null ? [session] : [])),
    has: (process: ProcessId): boolean => entries.has(idOf(process)),
    sessionOf: (process: ProcessId): Session | undefined => entries.get(idOf(process))?.session,
    /**
     * Takes out the sessions whose process has ended, each once. That is a moment later where neither sshd nor the one who ended it has said
     * how, or where a hosted session that ran over it goes on.
     */
    gone: (
      isAlive: (process: ProcessId) => boolean,
      isExplained: (process: ProcessId) => boolean = () => false,
      isUsed: (process: ProcessId) => boolean = () => false,
    ): readonly Closed[] => {
      const dead = [...entries.values()].filter(({ session, gone }) => gone !== null || !isAlive(session.process));
      const over = dead.filter(
        ({ session: { process }, how, gone }) =>
          ((how !== null || isExplained(process)) && !isUsed(process)) ||
          (gone !== null && steady() - gone >= LAST_WORDS_MS),
      );
      for (const entry of dead) put({ ...entry, gone: entry.gone ?? steady() });
      for (const { session } of over) entries.delete(idOf(session.process));
      return over;
    },
  };
};

export type Ledger = ReturnType<typeof createLedger>;
