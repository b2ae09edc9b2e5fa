import { join } from 'node:path';
import * as z from 'zod';
import type { ArchiveMemory, RememberedArchive } from '../borg/last-archive.ts';
import { writeStateFile } from '../host/state-file.ts';
import type { Places } from '../places.ts';
import { openBounded } from '../system/plain-file.ts';
import { type Surveyed, surveyRepositories } from './repository-survey.ts';

const FILE = 'last-archives.json';
/** The most repositories, and the most bytes: some 300 for each. */
const MOST = 20_000;
const MOST_BYTES = 16 << 20;

const time = z.number().nullable();
const format = z.record(
  z.string().max(200),
  z.object({
    ...{ key: z.string().max(1000), segment: time, finished: time, moved: time, unknown: z.boolean() },
    foreign: z.number().optional(),
  }),
);

/**
 * Remembers across restarts when each repository had its last archive, in last-archives.json. So a look at a thousand of them reads
 * only those that have changed. It is only a cache: what cannot be read is found again, and what cannot be written is skipped.
 */
export const openArchiveRecord = (
  state: string,
  others: 'kept' | 'forgotten' = 'forgotten',
): ArchiveMemory & { readonly close: () => void } => {
  const path = join(state, FILE);
  const before = readRecord(path);
  const seen = new Map(others === 'kept' ? before : []);
  return {
    recall: (repository) => before.get(repository),
    note: (repository, found) => {
      if (seen.size < MOST) seen.set(repository, found);
    },
    /** Writes it, if something has changed. Call it when all repositories have been looked at: the others are forgotten, unless they are kept. */
    close: () => {
      if (seen.size === before.size && [...seen].every(([name, { key }]) => before.get(name)?.key === key)) return;
      try {
        writeStateFile(path, Object.fromEntries(seen));
      } catch {
        // A full disk, or no server yet: they are looked at again the next time.
      }
    },
  };
};

/**
 * surveyRepositories with a memory: uses what is remembered, and remembers what it finds.
 *
 * @throws the system's error where /repos cannot be read
 */
export const surveyWithRecord = ({ repos, state }: Pick<Places, 'repos' | 'state'>): readonly Surveyed[] => {
  const record = openArchiveRecord(state);
  const surveyed = surveyRepositories(repos, record);
  record.close();
  return surveyed;
};

const readRecord = (path: string): ReadonlyMap<string, RememberedArchive> => {
  try {
    const text = openBounded(path, (read, { size, uid }) =>
      size > MOST_BYTES || uid !== 0 ? '{}' : read(0, size).toString('utf8'),
    );
    return new Map(Object.entries(format.parse(JSON.parse(text ?? '{}'))));
  } catch {
    return new Map();
  }
};
