import type { Hosted } from './hosted.ts';
import type { Ledger } from './ledger.ts';
import { isAlive, processId } from './processes.ts';
import type { Session } from './session.ts';
import type { TrackerOptions } from './tracker-options.ts';
import type { createTrafficWatch } from './traffic.ts';
import { tellClosed } from './trail.ts';

/**
 * Writes down that sessions are over.
 *
 * @param options.steady milliseconds of a steady clock
 */
export const createClosing = (
  options: Pick<TrackerOptions, 'log' | 'endOf'> & {
    readonly ledger: Ledger;
    readonly hosted: Hosted;
    readonly traffic: ReturnType<typeof createTrafficWatch>;
    readonly steady: () => number;
  },
) => {
  const { log, ledger, traffic, steady, endOf } = options;
  /** Why a session is being ended, for the line about its closing. */
  const reasons = new Map<string, string>();
  return {
    /** Takes why the server ends a session. */
    because: ({ process }: Session, reason: string): void => {
      reasons.set(processId(process), reason);
    },
    /** Tells of those whose process is gone. */
    settle: (atLast = false): void => {
      for (const over of ledger.gone(
        (process) => isAlive(process),
        (process) => atLast || reasons.has(processId(process)),
      )) {
        const id = processId(over.session.process);
        tellClosed(log, over, reasons.get(id), traffic.of(over.session.peer), steady(), endOf(over.session));
        reasons.delete(id);
      }
    },
  };
};
