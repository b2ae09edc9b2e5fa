import { printable } from '../accounts/printable.ts';
import type { Tracker } from '../sessions/tracker.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './log.ts';

/** Raw lines a second that are shown; strangers can make sshd write as many as they like. */
const LINES_A_SECOND = 100;

/**
 * What becomes of each line of sshd's log: the tracker makes events of it; what an operator has to cure is always shown; the line
 * itself only where SSH_LOG_LEVEL asks for it.
 */
export const sshdLog = (
  level: Settings['SSH_LOG_LEVEL'],
  log: Logger,
  tracker: Pick<Tracker, 'line'>,
): ((line: string) => void) => {
  const raw = level === 'VERBOSE' || level.startsWith('DEBUG');
  let second = 0;
  let shown = 0;
  const mayShow = (): boolean => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      if (shown > LINES_A_SECOND) log.warn({ lines: shown - LINES_A_SECOND }, 'lines of sshd not shown');
      [second, shown] = [now, 0];
    }
    shown += 1;
    return shown <= LINES_A_SECOND;
  };
  return (line) => {
    const event = tracker.line(line);
    if (event.kind === 'trouble' && mayShow()) log.error({ sshd: printable(event.text, 1000) }, 'sshd reports trouble');
    else if (raw && mayShow()) log.info({ sshd: printable(line, 1000) }, 'sshd');
  };
};
