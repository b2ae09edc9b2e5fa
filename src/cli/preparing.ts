import { setTimeout as pause } from 'node:timers/promises';
import { askServer } from '../control/client.ts';
import type { Preparing } from '../reconcile/prepare.ts';
import { printable } from '../text/printable.ts';
import { createProgress, type ProgressStream } from './progress.ts';

/** A server that does not answer how far it is: it is busy. */
const PATIENCE_MS = 5000;
const POLL_MS = 1000;

/** Shows how far an update is with handing over repositories. */
export const createPreparingText = (stream: ProgressStream, now?: () => number) => {
  let shown: { readonly total: number; readonly progress: ReturnType<typeof createProgress> } | null = null;

  const end = (): void => {
    shown?.progress.end();
    shown = null;
  };
  /** @param preparing null: nothing takes long */
  const at = (preparing: Preparing | null): void => {
    if (preparing === null) {
      end();
      return;
    }
    const { account, entries, done, total } = preparing;
    // A newer update has begun again, with more folders or fewer.
    if (shown?.total !== total) {
      end();
      shown = { total, progress: createProgress('preparing repositories', total, stream, now) };
    }
    const files = entries > 0 ? `: ${entries} files and folders` : '';
    shown.progress.at(done, `${printable(account)}${files}`);
  };
  return { at, end };
};

/** Waits for the work of the server that runs here. If it takes long, standard error shows what the server is doing. */
export const whileServerWorks = async <Result>(run: string, work: Promise<Result>): Promise<Result> => {
  const text = createPreparingText(process.stderr);
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      await pause(POLL_MS, null, { signal: over.signal });
      const reply = await askServer(run, { command: 'progress' }, PATIENCE_MS);
      over.signal.throwIfAborted();
      text.at(reply?.preparing ?? null);
    }
  };
  // If the progress cannot be read, that is no reason to fail.
  watch().catch(() => {});
  try {
    return await work;
  } finally {
    over.abort();
    text.end();
  }
};
