import { quoted } from '../borg/serve-arguments.ts';
import { timeText } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { MARK_TEXTS } from './change-marks.ts';
import { isPlain } from './folders.ts';
import type { History, Keeper } from './kept-states.ts';

/** Stands before a path to ask whether that repository may be compacted. No path below /repos begins with it. */
const LOOK = '?';

/**
 * Answers what a borg asks of a repository before it changes it (image/launcher/keeping.py). A path below /repos: that it is kept. LOOK and
 * a path: whether it may be compacted; the answer is why not, or nothing. It rejects where that is not known: then nothing is compacted.
 */
export const answersFrom =
  (keeper: Pick<Keeper, 'keep' | 'history'>) =>
  async (question: string): Promise<string> => {
    if (!question.startsWith(LOOK)) {
      // What went wrong is told where it did. The session goes on: a full disk must not keep anybody from making room.
      await keeper.keep(question).catch(() => {});
      return '';
    }
    const path = question.slice(LOOK.length);
    if (!isPlain(path)) throw new Error('no path of a repository');
    return lookBeforeCompact(path, await keeper.history(path, false)) ?? '';
  };

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
