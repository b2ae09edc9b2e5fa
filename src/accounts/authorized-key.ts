/** The only options an operator may write before a key: they can narrow what the key may do, never widen it (sshd(8), AUTHORIZED_KEYS). */
export type NarrowingOptions = {
  /** from="pattern-list": addresses or names from which the key is accepted, as written. */
  readonly from?: string;
  /** expiry-time="timespec", as written: YYYYMMDD[HHMM[SS]][Z]. sshd judges it in the server's time zone unless it ends in Z. */
  readonly expiryTime?: string;
  /** verify-required: a FIDO key must prove that its user was verified (PIN). */
  readonly verifyRequired?: true;
};

/** One public key as an operator declared it, after every check. */
export type AuthorizedKey = {
  /** The key type as OpenSSH writes it, for example ssh-ed25519. */
  readonly type: string;
  /** The key's wire format in canonical base64 with padding (RFC 4253, 6.6). This is the key's identity. */
  readonly blob: string;
  /** SHA256:… as ssh-keygen -l prints it. */
  readonly fingerprint: string;
  /** The comment, printable, at most 200 characters; '' if there is none. Never used to decide anything. */
  readonly comment: string;
  readonly options: NarrowingOptions;
  /** Where it is written: the path that an operator sees, and the line, counted from 1. */
  readonly file: string;
  readonly line: number;
};
