import { type Clock, realClock } from '../system/clock.ts';
import { endConnection } from './end-connection.ts';
import { openProc, type Proc } from './proc.ts';
import { createTrafficWatch, type TrafficWatch } from './traffic.ts';

/** What the tracker looks at, and what it does to it. Tests bring their own: the tracker itself reads no clock and no /proc, and signals nobody. */
export type Machine = {
  readonly clock: Clock;
  readonly proc: Proc;
  readonly traffic: TrafficWatch;
  readonly end: typeof endConnection;
};

/** @param port sshd's */
export const realMachine = (port: number): Machine => ({
  clock: realClock,
  proc: openProc(),
  traffic: createTrafficWatch(port),
  end: endConnection,
});
