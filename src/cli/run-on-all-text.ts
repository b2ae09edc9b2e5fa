import { exitSeverity } from '../borg/exit-code.ts';
import { printable } from '../text/printable.ts';
import { type Colour, colouring } from './colours.ts';
import { barText, type ProgressStream } from './progress.ts';

/** By the severity of what has happened so far. */
const COLOURS: readonly Colour[] = ['green', 'yellow', 'red'];
/** A row of a terminal has no room for more. */
const MOST_NAMES = 10;

/**
 * What is shown around borg's own output when it works on one repository after the other: a heading for each. On a terminal the
 * heading has a bar in it, and the end says which ones failed. borg writes there itself, and a bar that is drawn again and again
 * would tear its lines. So each bar is drawn once, above what borg says.
 *
 * @param total how many repositories there are
 */
export const createRunOnAllText = (
  stream: ProgressStream,
  env: Readonly<Record<string, string | undefined>>,
  total: number,
) => {
  const paint = colouring(stream, env);
  const ends: { readonly path: string; readonly exitCode: number }[] = [];
  const bar = (done: number): string => {
    const worst = Math.max(0, ...ends.map(({ exitCode }) => exitSeverity(exitCode)));
    return paint(barText(done, total), COLOURS[Math.min(2, worst)] ?? 'plain');
  };
  const namesOf = (found: typeof ends): string =>
    `${found
      .slice(0, MOST_NAMES)
      .map(({ path }) => printable(path))
      .join(', ')}${found.length > MOST_NAMES ? ' and others' : ''}`;

  return {
    /** Before borg runs on the repository with this place in the order, from 0. */
    begin: (index: number, path: string): void => {
      const where = stream.isTTY ? ` ${bar(index)} ${index + 1} of ${total}` : '';
      stream.write(`===${where} ${printable(path)}\n`);
    },
    /** After it. @param exitCode borg's */
    ended: (path: string, exitCode: number): void => {
      ends.push({ path, exitCode });
    },
    /** After the last one, or after an interruption. */
    done: (): void => {
      if (!stream.isTTY || total < 2) return;
      const failed = ends.filter(({ exitCode }) => exitSeverity(exitCode) > 1);
      const warned = ends.filter(({ exitCode }) => exitSeverity(exitCode) === 1);
      const interrupted = ends.length < total;
      const what = [
        ...(interrupted ? ['interrupted'] : []),
        ...(failed.length > 0 ? [`failed: ${namesOf(failed)}`] : []),
        ...(warned.length > 0 ? [`with warnings: ${namesOf(warned)}`] : []),
      ];
      // Over the ^C that the terminal has shown.
      const start = interrupted ? '\r' : '';
      stream.write(
        `${start}=== ${bar(ends.length)} ${ends.length} of ${total} done; ${what.join('; ') || 'all right'}\n`,
      );
    },
  };
};
