import type { Directives } from '../accounts/directives.ts';
import { errorAt, type Finding } from '../accounts/finding.ts';
import { readQuota } from '../accounts/quota.ts';
import { longestKeep, readSnapshotKeep, type SnapshotKeep, snapshotKeepText } from '../accounts/snapshot-keep.ts';
import { printable } from '../text/printable.ts';
import { sizeText } from '../text/size.ts';
import type { KeyLine, LinePlace } from './key-line.ts';

/** What the directives of one file result in. */
export type ReadDirectives = Directives & {
  /** One of them was wrong. */
  readonly doubtful?: true;
  /** The line of the first word that the server knows, if there is one. */
  readonly directivesAt?: number;
};

/** 2^53 - 1 bytes: 9 PB, more than any repository of borg has. */
const LARGEST = Number.MAX_SAFE_INTEGER;

const KNOWN =
  "correct or remove the line; the server knows '# borgserver: quota=SIZE', 'sub-repositories=yes' and 'snapshots=DURATION'";

type Directive = Extract<KeyLine, { readonly kind: 'directive' }>;

/**
 * Takes directives (`# borgserver: word=value`) one after the other. A wrong value counts for nothing. Of two values the narrower one counts.
 */
export const collectDirectives = () => {
  const quotas = new Set<number>();
  const answers = new Set<boolean>();
  const keeps = new Set<SnapshotKeep>();
  let doubtful = false;
  let first: number | undefined;

  const bad = (place: LinePlace, message: string, remedy: string): Finding => {
    doubtful = true;
    return errorAt(place, 'bad-directive', message, remedy);
  };

  const unknown = (message: string, place: LinePlace): Finding => {
    doubtful = true;
    return errorAt(place, 'unknown-directive', message, KNOWN);
  };

  const takeQuota = (value: string, place: LinePlace): Finding | null => {
    const read = readQuota(value);
    const quota = typeof read === 'number' && read > LARGEST ? 'is more than 9P; leave it out for no quota' : read;
    if (typeof quota === 'string')
      return bad(place, `'quota=${printable(value, 40)}': it ${quota}`, 'write for example: # borgserver: quota=50G');
    const others = [...quotas].filter((other) => other !== quota);
    quotas.add(quota);
    if (others.length === 0) return null;
    const smallest = sizeText(Math.min(...quotas));
    return bad(place, `a second quota, ${sizeText(quota)}; the smaller one counts (${smallest})`, 'keep one');
  };

  const takeSubRepositories = (value: string, place: LinePlace): Finding | null => {
    if (value !== 'yes' && value !== 'no')
      return bad(place, `'sub-repositories=${printable(value, 40)}' is neither yes nor no`, 'write yes, or remove it');
    answers.add(value === 'yes');
    return answers.size > 1 ? bad(place, 'sub-repositories twice, yes and no; no counts', 'keep one') : null;
  };

  const takeSnapshots = (value: string, place: LinePlace): Finding | null => {
    const read = readSnapshotKeep(value);
    if (typeof read === 'object')
      return bad(place, `'snapshots=${printable(value, 40)}': it ${read.problem}`, 'write for example 30d, or no');
    keeps.add(read);
    if (keeps.size < 2) return null;
    return bad(place, `snapshots twice; ${snapshotKeepText(longestKeep(keeps))} counts, the longer one`, 'keep one');
  };

  return {
    /** @returns what is wrong with it, or null */
    take: ({ mark, word, value }: Directive, place: LinePlace): Finding | null => {
      if (mark !== 'borgserver') return unknown(`'# ${printable(mark)}:' is not read as it is written`, place);
      switch (word) {
        case 'quota':
          first ??= place.line;
          return takeQuota(value, place);
        case 'sub-repositories':
          first ??= place.line;
          return takeSubRepositories(value, place);
        case 'snapshots':
          first ??= place.line;
          return takeSnapshots(value, place);
        default:
          return unknown(`the server knows no '# borgserver: ${printable(word, 40)}'`, place);
      }
    },
    /** A line that may have been a directive cannot be read. */
    doubt: (): void => {
      doubtful = true;
    },
    all: (): ReadDirectives => ({
      ...(quotas.size > 0 && { quota: Math.min(...quotas) }),
      ...(answers.has(true) && !answers.has(false) && { subRepositories: true as const }),
      ...(keeps.size > 0 && { snapshots: longestKeep(keeps) }),
      ...(doubtful && { doubtful: true as const }),
      ...(first !== undefined && { directivesAt: first }),
    }),
  };
};

/** An admin has no repository of its own, so a directive would mean nothing. */
export const directivesOfAdmin = (file: string, line: number): Finding =>
  errorAt(
    { file, line },
    'bad-directive',
    'an admin has no quota, no sub-repositories and no snapshots; nothing of this counts',
    'remove the line; for all admins there is ADMIN_SERVE_EXTRA_ARGS',
  );
