import type { Connection } from './connections.ts';
import type { Hosted } from './hosted.ts';
import type { Proc } from './proc.ts';
import { idOf } from './process.ts';
import type { Session, SessionView } from './session.ts';
import type { Traffic } from './traffic.ts';
import { together } from './usage.ts';

/** Whether it is a process of the launcher that sshd has started. Its command line shows that. */
const isBorg = (pid: number, { wordsOf }: Pick<Proc, 'wordsOf'>): boolean => wordsOf(pid).includes('--session');

/** A session with what is known of its traffic and its processes just now. */
export const viewOf = (
  { process, subRepositories: _, steadySince: __, ...session }: Session,
  connections: readonly Connection[],
  traffic: Traffic | undefined,
  over: Hosted['over'],
  proc: Pick<Proc, 'wordsOf' | 'usageOf'>,
): SessionView => {
  const below = connections.find((each) => idOf(each) === idOf(process))?.below ?? [];
  const hosted = new Set(over(process).map(({ process }) => process.pid));
  const borg = below.filter((pid) => hosted.has(pid) || isBorg(pid, proc));
  const used = borg.flatMap((pid) => proc.usageOf(pid) ?? []);
  const usage = used.length > 0 ? together(used) : { cpuSeconds: null, peakMemory: null };
  return { ...session, received: traffic?.received ?? null, sent: traffic?.sent ?? null, borg, ...usage };
};
