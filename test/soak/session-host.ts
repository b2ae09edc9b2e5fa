import { until } from '../e2e/harness/machine.ts';
import type { Server } from '../e2e/harness/server.ts';
import { inMountsOf } from '../e2e/harness/small-disk.ts';
import { lookWithoutZombies, signalInside } from './server-processes.ts';

/** Replaces one of borg's files by another file, as an upgrade of a package does. Only this server sees it. */
const CHANGE = `
  for file in /opt/borg/lib/python3*/site-packages /usr/lib/python3/dist-packages; do
    [ ! -e $file/borg/__init__.py ] || break
  done
  file=$file/borg/__init__.py copy=$(mktemp /run/changed-borg.XXXXXX)
  cp --preserve $file $copy
  mount --bind $copy $file
`;

/** What the run does to the session host, and what has to happen to the host then. */
export const createHostFates = (server: Server) => {
  /** The pid of the host, once the disk has another borg than the host. null again when the host is gone for whatever reason. */
  let outdated: number | null = null;
  const host = async (): Promise<number | null> => (await lookWithoutZombies(server)).host?.pid ?? null;

  return {
    /** Kills the host. Nobody waits for the next one, which loads the borg that is on the disk. */
    kill: async (): Promise<void> => {
      const pid = await host();
      if (pid !== null) await signalInside(server, pid, 'KILL');
      outdated = null;
    },
    /** Changes borg on the disk. The daemon notices this by itself. */
    change: async (): Promise<void> => {
      outdated = await host();
      inMountsOf(server, ['sh', '-euc', CHANGE]);
    },
    /** The whole server has been replaced, and its disk with it. */
    forget: (): void => {
      outdated = null;
    },
    /** Whether another host may take the place of this one at any time. */
    isOutdated: (): boolean => outdated !== null,
    /** Resolves once another host has taken its place, with whether there was anything to wait for. */
    replaced: async (): Promise<boolean> => {
      if (outdated === null) return false;
      const isAnother = async () => (await host()) !== outdated;
      // The daemon looks for another borg every 30 s, and its new host takes some time to start.
      await until('another session host, with the borg that is on the disk', isAnother);
      outdated = null;
      return true;
    },
  };
};

export type HostFates = ReturnType<typeof createHostFates>;
