import type { HostedSession } from '../../src/sessions/host-line.ts';
import type { HostProgram } from '../../src/sessions/host-process.ts';
import { createHosted } from '../../src/sessions/hosted.ts';
import type { ProcessId } from '../../src/sessions/process.ts';
import { isAlive } from '../../src/sessions/processes.ts';
import { type SessionHost, type SessionHostOptions, startSessionHost } from '../../src/sessions/session-host.ts';
import { until } from '../e2e/harness/machine.ts';
import { PATIENCE_MS } from '../e2e/harness/patience.ts';
import { hostProgram } from './hosted-session.ts';

type Line = { readonly msg: string } & { readonly [field: string]: unknown };

export type LookedAfterHost = {
  readonly daemon: SessionHost;
  /** The hosts that were started, and the sessions that the daemon has been told of, in this order. */
  readonly hosts: readonly ProcessId[];
  readonly told: readonly HostedSession[];
  /** What the daemon has written to its log. */
  readonly said: (message: RegExp) => readonly Line[];
  /** The host that serves now. */
  readonly current: () => Promise<ProcessId>;
};

/** A host that is slow on a busy machine is not taken for one that hangs. */
export const PATIENT = { start: PATIENCE_MS, laterStart: PATIENCE_MS, answer: PATIENCE_MS };

/** The session host of a prepared folder. The daemon's own code looks after it. */
export const lookAfterHost = async (
  folder: string,
  options: Pick<SessionHostOptions, 'times'> & {
    readonly files?: readonly string[];
    readonly program?: HostProgram;
  } = {},
): Promise<LookedAfterHost> => {
  const [hosts, told, lines]: [ProcessId[], HostedSession[], Line[]] = [[], [], []];
  const hosted = createHosted(() => true);
  const write = (facts: object, msg: string): void => void lines.push({ ...facts, msg });
  const follow = (host: ProcessId): void => {
    hosts.push(host);
    hosted.follow(host);
  };
  const daemon = await startSessionHost({
    ...(options.program ?? hostProgram(folder)),
    ...{ files: options.files ?? [], hosted: { ...hosted, follow }, accountOf: () => undefined },
    onBegan: (session) => void told.push(session),
    log: { info: write, warn: write, error: write },
    // A host that is ended again and again still comes back at once.
    times: { ...PATIENT, again: 1, longestAgain: 1, ...options.times },
  });
  return {
    ...{ daemon, hosts, told },
    said: (message) => lines.filter(({ msg }) => message.test(msg)),
    current: () =>
      until('a host that serves', () => daemon.state().running && hosts.filter((each) => isAlive(each)).at(-1)),
  };
};
