import { until } from '../e2e/harness/machine.ts';
import type { Server } from '../e2e/harness/server.ts';
import { inMountsOf } from '../e2e/harness/small-disk.ts';
import { lookWithoutZombies, signalInside } from './server-processes.ts';

/** The daemon looks for another borg every 30 s, and its new host takes some time to start. */
const REPLACED_MS = 200_000;

/** As when a package is upgraded: another file is in the place of one of borg's, for this server alone. */
const CHANGE = `
  for file in /opt/borg/lib/python3*/site-packages /usr/lib/python3/dist-packages; do
    [ ! -e $file/borg/__init__.py ] || break
  done
  file=$file/borg/__init__.py copy=$(mktemp /run/changed-borg.XXXXXX)
  cp --preserve $file $copy
  mount --bind $copy $file
`;

/** What the run does to the session host, and what has to become of it. */
export const createHostFates = (server: Server) => {
  /** The host that has another borg than the disk, as far as nothing else has become of it. */
  let outdated: number | null = null;
  const host = async (): Promise<number | null> => (await lookWithoutZombies(server)).host?.pid ?? null;

  return {
    /** Kills it. Nobody waits for the next one, which loads what is on the disk then. */
    kill: async (): Promise<void> => {
      const pid = await host();
      if (pid !== null) await signalInside(server, pid, 'KILL');
      outdated = null;
    },
    /** Changes borg on the disk. The daemon comes to see that by itself. */
    change: async (): Promise<void> => {
      outdated = await host();
      inMountsOf(server, ['sh', '-euc', CHANGE]);
    },
    /** The whole server is another one, and so is its disk. */
    forget: (): void => {
      outdated = null;
    },
    /** Whether another host may take the place of this one at any time. */
    isOutdated: (): boolean => outdated !== null,
    /** Resolves once that has happened, with whether there was anything to wait for. */
    replaced: async (): Promise<boolean> => {
      if (outdated === null) return false;
      const isAnother = async () => (await host()) !== outdated;
      await until('another session host, with the borg that is on the disk', isAnother, REPLACED_MS);
      outdated = null;
      return true;
    },
  };
};

export type HostFates = ReturnType<typeof createHostFates>;
