import type { Role } from '../accounts/role.ts';

/** One connection that is logged in, and by whose word. Every text in it is printable. */
export type Session = {
  /** Its name: address and port of the client. */
  readonly peer: string;
  readonly address: string;
  readonly port: number;
  readonly account: string;
  /** The role it was let in with; null if the account was unknown to the server by then. */
  readonly role: Role | null;
  readonly uid: number | null;
  readonly fingerprint: string;
  /** Of the line that admitted it, and where the operator wrote that line; '' and null if it is not in the current state. */
  readonly comment: string;
  readonly file: string | null;
  readonly line: number | null;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Its root process, once it is known. */
  readonly process: { readonly pid: number; readonly start: number } | null;
};

/** A session as an operator sees it. */
export type SessionView = Omit<Session, 'process'> & {
  /** Bytes from the client and to it; null where the kernel does not tell. */
  readonly received: number | null;
  readonly sent: number | null;
  /** Processes of borg that run over it. */
  readonly borg: readonly number[];
};
