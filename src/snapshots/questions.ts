import { quoted } from '../borg/serve-arguments.ts';
import { timeText } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { MARK_TEXTS } from './change-marks.ts';
import { isPlain } from './folders.ts';
import type { Claim, History, Keeper } from './kept-states.ts';

/** What stands before the path in a question. No path of a repository begins like this. */
const KINDS = { '?': 'look', '+': 'before', '!': 'mine' } as const;

export type Question = {
  readonly kind: 'keep' | 'look' | 'before' | 'mine';
  readonly sign: '' | keyof typeof KINDS;
  readonly path: string;
};

/** Reads what a borg asks of a repository while it changes it (image/launcher/keeping.py): a path below /repos, perhaps with a sign before it. */
export const readQuestion = (question: string): Question => {
  const sign = question.charAt(0) as keyof typeof KINDS;
  return sign in KINDS
    ? { kind: KINDS[sign], sign, path: question.slice(1) }
    : { kind: 'keep', sign: '', path: question };
};

/**
 * Answers it. 'keep': that the repository's state is kept. 'look': whether it may be compacted. 'before': that it is kept, and whoever asks has its
 * lock and will write. 'mine': that it is kept, and whoever asks has done what is new. The answer is why not, or nothing. It rejects where it is not
 * known whether a repository may be compacted: then it is not.
 *
 * @param by who asks
 */
export const answersFrom =
  (keeper: Pick<Keeper, 'keep' | 'history' | 'isAppendOnly'>, by: Claim = 'admins') =>
  async (question: string): Promise<string> => {
    const { kind, path } = readQuestion(question);
    if (kind !== 'keep' && !isPlain(path)) throw new Error('no path of a repository');
    if (kind === 'look') return lookBeforeCompact(path, await keeper.history(path, false)) ?? '';
    // An admin may commit often, and elsewhere nobody could hide behind it.
    if (kind !== 'keep' && by === 'admins' && !keeper.isAppendOnly(path)) return NOT_KEPT;
    // What went wrong is told where it did. Whoever asks goes on: a full disk must not keep anybody from making room.
    const kept = await keeper.keep(path, kind === 'mine' ? { by } : {}).catch(() => []);
    return kept.some(({ repository, result }) => repository === path && result === 'kept') ? '' : NOT_KEPT;
  };

const NOT_KEPT = 'not kept';

/** A full disk must not keep anybody from making room, and where the disk has no links nothing is ever known. No client can bring about the second. */
const EXCUSED: ReadonlySet<string> = new Set(['no-space', 'other-file-system']);

type Looked = Pick<History, 'records' | 'seen' | 'notKept' | 'isThere'>;

/**
 * Why a repository is not compacted: something in it looks like an attack, and nobody has looked at that yet, or nobody can. Null: it may be
 * compacted.
 */
export const lookBeforeCompact = (path: string, { records, seen, notKept, isThere }: Looked): string | null => {
  const [newest] = records.filter(({ id, marks }) => marks.length > 0 && id > seen);
  if (!newest) {
    if (!isThere)
      return `${printable(path, 200)} is not compacted: the server does not find it just now; try again in a minute`;
    if (records.length === 0 || notKept === null || EXCUSED.has(notKept.code)) return null;
    return `${printable(path, 200)} is not compacted: the server cannot look at its present state (${printable(notKept.why, 300)}); see borgserver status`;
  }
  const why = newest.marks.map((each) => MARK_TEXTS[each]).join('; ');
  const name = quoted(path);
  return `${printable(path, 200)} is not compacted: ${why} (until ${timeText(newest.at)}), and nobody has looked at it yet. On the server: borgserver history ${name}, and if it is all right: borgserver history ${name} --seen`;
};
