import type { Connection } from './connections.ts';
import { idOf, TICKS_PER_SECOND } from './process.ts';
import type { Session } from './session.ts';

/**
 * Why a login that sshd has told of, and that the kernel does not show, cannot be in order; null where a client can bring it about.
 *
 * sshd writes 'Accepted' before the client is told so and before it forks the process of the account's (userauth_finish, then
 * privsep_postauth, in OpenSSH 9.2 as in 10.x). A client that does not read keeps it there, and sshd goes on counting LoginGraceTime until
 * then (the alarm is cancelled behind it). Such a connection is ended early, and is no alarm: anybody with a key could raise one at will.
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
