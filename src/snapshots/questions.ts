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

/**
 * Why a repository is not compacted: something in it looks like an attack, and nobody has looked at that yet. Null: it may be compacted. So it is,
 * too, where its present state cannot be kept: what older snapshots have stays there.
 */
export const lookBeforeCompact = (
  path: string,
  { records, seen }: Pick<History, 'records' | 'seen'>,
): string | null => {
  const [newest] = records.filter(({ id, marks }) => marks.length > 0 && id > seen);
  if (!newest) return null;
  const why = newest.marks.map((each) => MARK_TEXTS[each]).join('; ');
  const name = quoted(path);
  return `${printable(path, 200)} is not compacted: ${why} (until ${timeText(newest.at)}), and nobody has looked at it yet. On the server: borgserver history ${name}, and if it is all right: borgserver history ${name} --seen`;
};
