import type { HostingState } from '../start/session-hosting.ts';
import { type Diagnosis, ok, warning } from './diagnosis.ts';

const TOPIC = 'session host';
/** More ends than these within an hour are no accident. */
const MOST_ENDS = 3;
const SLOWER = 'each session loads borg itself, which is slower; nothing else is lost';
const REASONS = 'docker compose logs borgserver | grep -B5 "session host" tells why';

/** Whether the session host runs where it should. */
export const diagnoseSessionHost = (state: HostingState): Diagnosis => {
  if (state === 'off') return ok(TOPIC, 'each session loads borg itself (SESSION_HOST=no)');
  if (state === 'impossible')
    return ok(
      TOPIC,
      `this machine has no /usr/bin/perl, or an architecture that is not known (${process.arch}): ${SLOWER}`,
    );
  const { running, coldSince, ends } = state;
  if (!running)
    return warning(
      TOPIC,
      `it does not run${coldSince === null ? '' : ` since ${new Date(coldSince).toISOString()}`}: ${SLOWER}`,
      `it is tried again by itself; ${REASONS}`,
    );
  return ends > MOST_ENDS
    ? warning(TOPIC, `it ended ${ends} times in the last hour, and was started again each time`, REASONS)
    : ok(TOPIC, 'borg is loaded once for all sessions');
};

/** The same in a line for `borgserver status`. Null where there is nothing to say. */
export const sessionHostText = (state: HostingState): string | null => {
  const { level, message } = diagnoseSessionHost(state);
  return level === 'ok' ? null : `the session host: ${message}`;
};
