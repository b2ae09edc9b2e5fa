import type { Logger } from '../log.ts';
import { LOG_HAS_ENDED, type SshdExit } from '../sshd/server.ts';

const WITHOUT_SSHD = 'sshd has ended, and without it nobody can log in: its own lines above say why';
const WITHOUT_LOG =
  'the log of sshd has ended while sshd runs: nobody can tell any more who logs in, so all sessions and the server are ended; start it again';

/** Says that the server ends because sshd has, or its log. */
export const tellSshdEnded = (log: Pick<Logger, 'error'>, { code, signal, error }: SshdExit): void => {
  const facts = {
    ...(code !== null && { code }),
    ...(signal !== null && { signal }),
    ...(error !== null && { error }),
  };
  log.error(facts, error === LOG_HAS_ENDED ? WITHOUT_LOG : WITHOUT_SSHD);
};
