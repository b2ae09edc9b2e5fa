import type { Hosted } from './hosted.ts';
import type { Ledger } from './ledger.ts';
import type { Proc } from './proc.ts';
import { idOf, type ProcessId } from './process.ts';
import type { Session } from './session.ts';
import type { TrackerOptions } from './tracker-options.ts';
import type { TrafficWatch } from './traffic.ts';
import { tellClosed } from './trail.ts';
import { together, type Usage } from './usage.ts';

/**
 * Writes down that sessions are over.
 *
 * @param options.steady milliseconds of a steady clock
 */
export const createClosing = (
  options: Pick<TrackerOptions, 'log' | 'endOf' | 'onClosed'> & {
    readonly ledger: Pick<Ledger, 'gone'>;
    readonly hosted: Pick<Hosted, 'over' | 'usageOf'>;
    readonly traffic: Pick<TrafficWatch, 'of'>;
    readonly proc: Pick<Proc, 'isAlive' | 'usageOf'>;
    readonly steady: () => number;
  },
) => {
  const { log, ledger, hosted, traffic, proc, steady, endOf, onClosed } = options;
  /** What the hosted sessions of a connection have used until now, including those that go on without it. */
  const usageOf = (connection: ProcessId): Usage | undefined => {
    const ended = hosted.usageOf(connection) ?? [];
    const left = hosted
      .over(connection)
      .flatMap(({ process }) => (proc.isAlive(process) && proc.usageOf(process.pid)) || []);
    const all = [ended, left].flat();
    return all.length > 0 ? together(all) : undefined;
  };
  /** Why a session is being ended, for the line about its closing. */
  const reasons = new Map<string, string>();
  return {
    /** Takes why the server ends a session. */
    because: ({ process }: Session, reason: string): void => {
      reasons.set(idOf(process), reason);
    },
    /** Logs the sessions whose process is gone. */
    settle: (atLast = false): void => {
      for (const over of ledger.gone(
        proc.isAlive,
        (process) => atLast || reasons.has(idOf(process)),
        (process) => !atLast && hosted.over(process).length > 0,
      )) {
        const { process, peer } = over.session;
        const id = idOf(process);
        const used = { traffic: traffic.of(peer), usage: usageOf(process) };
        tellClosed(log, over, reasons.get(id), used, steady(), endOf(over.session));
        reasons.delete(id);
        onClosed(over.session);
      }
    },
  };
};
