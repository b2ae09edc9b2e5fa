import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomically } from '../host/write.ts';
import { readOwnFile } from '../system/plain-file.ts';

/** Who may have changed a repository, as far as it is known. Every text is printable. */
const writer = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('session'),
    account: z.string(),
    role: z.string().nullable(),
    fingerprint: z.string(),
    comment: z.string(),
    from: z.string(),
    /** It has said that it has written. Else it only was connected. */
    wrote: z.boolean(),
  }),
  /** A command on the server: `borg delete`, `maintenance prune`, `undo`. */
  z.object({ kind: z.literal('server'), what: z.string() }),
]);

export type Writer = z.infer<typeof writer>;

/** Bytes are as they lie in the repository: compressed, encrypted. Null: not known. */
const amount = z.object({ objects: z.number(), bytes: z.number().nullable() });

/** What image/snapshots/changes.py tells. */
export const toldFormat = z.object({
  /** In the older and in the newer state. A repository without archives has one object. */
  objects: z.object({ before: z.number(), after: z.number(), bytes: z.number() }).nullable(),
  counted: z
    .object({
      added: amount,
      /** Of what stood in the older state. */
      deleted: amount,
      /** Of these, how many were not yet in the state before the older one. */
      deletedRecent: z.number(),
      /** Another content under the same id. */
      replaced: amount,
      /** Segments of the older state that are gone. */
      compacted: amount.omit({ objects: true }).extend({ segments: z.number() }),
    })
    .nullable(),
  /** Why not all could be counted. */
  unknown: z.string().nullable(),
});

export type Told = z.infer<typeof toldFormat>;

/** Why something looks like an attack. */
const marks = z.enum([
  'mostly-deleted',
  'append-only-deleted',
  'replaced',
  'key-replaced',
  'other-repository',
  'nonce-spent',
  'uncounted',
  'destroyed',
]);
export type MarkOfChange = z.infer<typeof marks>;

const format = toldFormat.extend({
  /** One more than that of the record before it. */
  id: z.number(),
  /** The number of the snapshot that has the state afterwards; null: nothing is there any more. And of the one before. */
  snapshot: z.number().nullable(),
  before: z.number().nullable(),
  /** When these were taken, or it was seen: milliseconds since the epoch. Null: there was none before. */
  at: z.number(),
  since: z.number().nullable(),
  /** The last transaction of the state before. */
  sinceTransaction: z.number().nullable(),
  by: z.array(writer),
  marks: z.array(marks),
});

/** What happened to a repository between two snapshots of it. */
export type ChangeRecord = z.infer<typeof format>;

/** More are forgotten, the oldest first. */
const MOST = 500;
const MOST_CHARACTERS = 1 << 20;

const fileOf = (folder: string): string => join(folder, 'history.jsonl');

/**
 * Everything that is remembered of a repository, the oldest first. A line that cannot be read is left out.
 *
 * @param folder of its snapshots (snapshotsOf)
 * @throws the system's error
 */
export const readRecords = (folder: string): readonly ChangeRecord[] => {
  const found = readOwnFile(fileOf(folder), 4 * MOST_CHARACTERS);
  if (found.kind !== 'file') return [];
  return found.text.split('\n').flatMap((line) => {
    const record = format.safeParse(parse(line)).data;
    return record === undefined ? [] : [record];
  });
};

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
};

/** @param all in their order. The oldest ones are forgotten. @throws that the file cannot be written */
export const writeRecords = (folder: string, all: readonly ChangeRecord[]): void => {
  const lines = all.slice(-MOST).map((each) => `${JSON.stringify(each)}\n`);
  let length = 0;
  const kept = lines.toReversed().filter((line) => {
    length += line.length;
    return length <= MOST_CHARACTERS;
  });
  writeFileAtomically(fileOf(folder), kept.toReversed().join(''), { mode: 0o600, durable: true });
};

const seenFile = (folder: string): string => join(folder, 'seen');

/** Up to which record the operator has looked: its id; 0 for none. */
export const readSeen = (folder: string): number => {
  const found = readOwnFile(seenFile(folder), 100);
  const id = found.kind === 'file' ? Number(found.text) : 0;
  return Number.isSafeInteger(id) ? id : 0;
};

/** @throws that the file cannot be written */
export const writeSeen = (folder: string, id: number): void =>
  writeFileAtomically(seenFile(folder), `${id}\n`, { mode: 0o600, durable: true });
