import type { WriteStream } from 'node:tty';

/** Where progress is shown: standard error, so that standard output stays what was asked for. */
export type ProgressStream = Pick<WriteStream, 'isTTY' | 'write'> & { readonly columns?: number };

const BAR = 24;
/** Time between two plain lines. */
const QUIET_MS = 10_000;
/** Time between two drawings of the bar. */
const FRAME_MS = 100;

/** [######..................] */
export const barText = (done: number, total: number): string => {
  const filled = Math.round((total === 0 ? 1 : Math.min(1, done / total)) * BAR);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}]`;
};

/**
 * Shows the progress of long work: a bar on a terminal, elsewhere a line now and then. Short work shows nothing.
 *
 * @param now milliseconds of a steady clock
 */
export const createProgress = (title: string, total: number, stream: ProgressStream, now = () => performance.now()) => {
  let told = now();
  let drawn = false;

  /** @param what is being done; printable */
  const at = (done: number, what: string): void => {
    const quiet = now() - told < (stream.isTTY ? FRAME_MS : QUIET_MS);
    if (quiet && (!stream.isTTY || drawn)) return;
    told = now();
    if (stream.isTTY) {
      const line = `${title} ${barText(done, total)} ${done}/${total} ${what}`;
      stream.write(`\r\x1b[K${[...line].slice(0, (stream.columns ?? 80) - 1).join('')}`);
      drawn = true;
    } else stream.write(`${title}: ${done} of ${total}, ${what}\n`);
  };

  /** Removes the bar. */
  const end = (): void => {
    if (drawn) stream.write('\r\x1b[K');
    drawn = false;
  };

  return { at, end };
};
