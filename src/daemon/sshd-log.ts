import type { Logger } from '../log.ts';
import { createBucket } from '../sessions/bucket.ts';
import type { Tracker } from '../sessions/tracker.ts';
import type { Settings } from '../settings.ts';
import type { Message } from '../sshd/message.ts';
import { printable } from '../text/printable.ts';

/** How many raw lines are shown at once, and how many a second: strangers can make sshd write any number of them. */
const RAW_LINES = { burst: 200, perSecond: 100 };
/** What an operator has to cure is reported once in a while, not at every login. */
const TROUBLE_LINES = { burst: 10, perSecond: 0.1 };

/**
 * What is done with each message of sshd's log: the tracker makes events of it. What an operator has to cure is always shown. The
 * text itself is shown only where SSH_LOG_LEVEL asks for it.
 */
export const sshdLog = (
  level: Settings['SSH_LOG_LEVEL'],
  log: Logger,
  tracker: Pick<Tracker, 'message'>,
): ((message: Message) => void) => {
  const raw = level === 'VERBOSE' || level.startsWith('DEBUG');
  const now = (): number => performance.now();
  const mayShow = createBucket(RAW_LINES.burst, RAW_LINES.perSecond, now);
  const mayWarn = createBucket(TROUBLE_LINES.burst, TROUBLE_LINES.perSecond, now);
  let hidden = 0;
  return (message) => {
    const event = tracker.message(message);
    // Only from root's processes: what runs as an account must not raise an error in sshd's name.
    if (event.kind === 'trouble' && message.uid === 0 && mayWarn())
      log.error({ sshd: printable(event.text, 1000) }, 'sshd reports trouble');
    if (!raw) return;
    if (!mayShow()) {
      hidden += 1;
      return;
    }
    log.info(
      { sshd: printable(message.text, 1000), pid: message.pid, ...(hidden > 0 && { linesNotShownBefore: hidden }) },
      'sshd',
    );
    hidden = 0;
  };
};
