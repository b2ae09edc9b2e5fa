import type { Connection } from './connections.ts';
import { idOf, TICKS_PER_SECOND } from './process.ts';
import type { Session } from './session.ts';

/**
 * Why a login that sshd has told of, and that the kernel does not show, cannot be in order; null where a client can cause it.
 *
 * sshd writes 'Accepted' before it tells the client so, and before it forks the account's process (userauth_finish, then privsep_postauth, in
 * OpenSSH 9.2 as in 10.x). A client that does not read holds sshd up there. LoginGraceTime still counts then (sshd cancels its alarm only after
 * that). Such a connection is ended early, but raises no alarm: anybody with a key could raise one at will.
 *
 * @param now clock ticks since boot
 * @param graceSeconds LoginGraceTime and some more
 */
export const whyImpossible = (
  { process, uid }: Pick<Session, 'process' | 'uid'>,
  connections: readonly Connection[],
  now: number,
  graceSeconds: number,
): string | null => {
  const connection = connections.find((each) => idOf(each) === idOf(process));
  if (!connection) return null;
  if (connection.uid !== null && connection.uid !== uid) return 'the kernel shows another account’s process there';
  return now - process.start > graceSeconds * TICKS_PER_SECOND
    ? 'the kernel does not show it, although sshd should have given up'
    : null;
};
