import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { compactionNeed } from '../borg/disk-floor.ts';
import { failureInOneLine } from '../failure.ts';
import { writeFileAtomically } from '../host/write.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { openArchiveRecord } from './archive-record.ts';
import { eachRepository } from './repository-survey.ts';

/** A file with a number of bytes, beside the launcher. The launcher reads it when a session begins (image/launcher/install.py). */
const FILE = 'largest-compaction';
/** An index grows slowly. */
const EVERY_MS = 6 * 3_600_000;

/**
 * Writes down, now and every six hours, what the largest compaction on the file system of /repos needs. A session sees only its own repository, and
 * must leave that much free for the others. It looks at one repository at a time, so that nothing waits for it.
 */
export const openCompactionRecord = ({ repos, run, state }: Places, log: Logger): { readonly close: () => void } => {
  const closed = new AbortController();
  const write = async (): Promise<void> => {
    try {
      const need = await largestNeed(repos, openArchiveRecord(state), closed.signal);
      if (need !== null) writeFileAtomically(join(run, FILE), Buffer.from(String(need)), { mode: 0o644 });
    } catch (error) {
      log.warn({ error: failureInOneLine(error) }, 'what the largest compaction needs is not known');
    }
  };
  const timer = setInterval(() => void write(), EVERY_MS);
  timer.unref();
  void write();
  return {
    close: () => {
      clearInterval(timer);
      closed.abort();
    },
  };
};

/** Null where it was told to end. A repository on a mount of its own needs nothing here. */
const largestNeed = async (
  repos: string,
  record: ReturnType<typeof openArchiveRecord>,
  signal: AbortSignal,
): Promise<number | null> => {
  const { dev } = lstatSync(repos);
  let need = 0;
  for (const { path, state } of eachRepository(repos, record)) {
    if (signal.aborted) return null;
    if (state?.kind === 'repository' && lstatSync(join(repos, path), { throwIfNoEntry: false })?.dev === dev)
      need = Math.max(need, Math.floor(compactionNeed(state)));
    await setImmediate();
  }
  record.close();
  return need;
};
