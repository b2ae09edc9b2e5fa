import { readStatus, readWords, statusField } from '../system/proc.ts';

/** A process of this server that may hold a lock. */
export type LockOwner = {
  /** Its real uid: the account's, or the admins'. */
  readonly uid: number;
  /** The client's address, where the process belongs to a session of sshd's. Null for borg on the server itself. */
  readonly address: string | null;
  /** The path that the session is restricted to. Null for borg on the server itself. It tells apart accounts that share a uid. */
  readonly restrictedTo: string | null;
};

/**
 * Says who a process of this server is (proc(5): status, cmdline; both can be read without further rights).
 *
 * @returns null where it is gone; a zombie counts as alive, as it does for borg
 */
export const findLockOwner = (pid: number): LockOwner | null => {
  const process = look(pid);
  if (process === null) return null;
  const { uid, words } = process;
  // The forced command gives SSH_CONNECTION after --session: address and port of the client, then of the server.
  const address = words[words.indexOf('--session') + 1]?.split(' ')[0] ?? '';
  return {
    uid,
    restrictedTo: words.find((_, index) => /^--restrict-to-(repository|path)$/.test(words[index - 1] ?? '')) ?? null,
    address: words.includes('--session') && /^[0-9a-fA-F.:%a-z]+$/.test(address) ? address : null,
  };
};

const look = (pid: number): { readonly uid: number; readonly words: readonly string[] } | null => {
  try {
    const uid = /^\d+/.exec(statusField(readStatus(pid), 'Uid') ?? '')?.[0];
    return uid === undefined ? null : { uid: Number(uid), words: readWords(pid) };
  } catch {
    return null;
  }
};
