import { setImmediate } from 'node:timers/promises';
import { failure } from '../failure.ts';
import type { Clock } from '../system/clock.ts';
import { recheckOf } from './failed-pass.ts';
import type { PassReport, PassRequest } from './pass.ts';

export type SchedulerOptions = {
  readonly pass: (request: PassRequest, signal: AbortSignal) => Promise<PassReport>;
  /** Every pass that nobody asked for through `now`. */
  readonly onReport: (report: PassReport) => void;
  /** A pass that threw. */
  readonly onFailure: (error: unknown) => void;
  readonly resyncSeconds: number;
  readonly clock: Pick<Clock, 'steady' | 'after'>;
};

/** If more accounts than these are named, the whole tree is looked at. */
const MOST_NAMED = 100;
/** How long after a pass that looked only at some files the whole tree is looked at, in case an event was lost. */
const CATCH_UP_MS = 2000;
/**
 * How long the next event waits after a pass, in ms: as long as that pass took, within these bounds. The watcher reports one file
 * at a time, and a thousand that are dropped at once would get a pass each.
 */
const PAUSE_MS = { least: 10, most: 100 };
/** How many turns of the event loop a pass waits at most, so that others can ask for it too: some milliseconds. */
const MOST_TURNS = 1000;

/** What the next pass has to look at, and why. */
type Due = Pick<PassRequest, 'occasion' | 'changed'>;

/** Losses that wait are looked at in any case. */
const NOTHING_NEW: Due = { occasion: 'event', changed: new Set() };

const wider = (a: Due, b: Due): Due => {
  if (a.occasion !== 'event') return a;
  if (b.occasion !== 'event') return b;
  const changed = a.changed && b.changed?.union(a.changed);
  return { occasion: 'event', ...(changed && changed.size <= MOST_NAMED && { changed }) };
};

type Wish = {
  readonly request: PassRequest;
  readonly resolve: (report: PassReport) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Lets one pass run at a time. However many events come, they make one pass, and it begins after the last of them was seen. A
 * caller that asks for a pass gets one that began after it asked, shared with all who asked meanwhile.
 */
export const createScheduler = ({ pass, onReport, onFailure, resyncSeconds, clock }: SchedulerOptions) => {
  let due: Due | null = null;
  let wishes: Wish[] = [];
  let running: AbortController | null = null;
  let idle: Promise<void> = Promise.resolve();
  let closed = false;
  let failures = 0;
  let recheck: { cancel: () => void } | null = null;
  let resync: { cancel: () => void } | null = null;
  let catchUp: { cancel: () => void } | null = null;
  let pause: { cancel: () => void } | null = null;

  const look = (at: Due): void => {
    if (closed) return;
    due = due ? wider(due, at) : at;
    kick();
  };

  const armResync = (): void => {
    resync?.cancel();
    if (!closed) resync = clock.after(resyncSeconds * 1000, () => look({ occasion: 'periodic' }));
  };

  const armCatchUp = (looked: Due): void => {
    if (looked.changed && !closed) {
      catchUp ??= clock.after(CATCH_UP_MS, () => look({ occasion: 'event' }));
      return;
    }
    catchUp?.cancel();
    catchUp = null;
  };

  /** One failed read must not make a revocation wait for the periodic pass: again after 1 s, 2 s, 4 s, … */
  const patience = (): number => Math.min(1000 * 2 ** failures++, resyncSeconds * 1000);

  const lookAgain = (milliseconds: number | null): void => {
    recheck?.cancel();
    const again = (): void => {
      // A loss that has waited until its files were still does not wait for anything more.
      rested();
      look(NOTHING_NEW);
    };
    recheck = milliseconds === null || closed ? null : clock.after(milliseconds, again);
  };

  /** If the log cannot be written, the next pass must still come, so it is arranged before. And there is nobody else to tell. */
  const tell = (action: () => void): void => {
    try {
      action();
    } catch {}
  };

  const runOnce = async (): Promise<void> => {
    const controller = new AbortController();
    running = controller;
    const asked = wishes;
    const dryRun = asked.length > 0 && !due && asked.every(({ request }) => request.dryRun);
    const taken = dryRun ? asked : asked.filter(({ request }) => !request.dryRun);
    wishes = asked.filter((wish) => !taken.includes(wish));
    const at: Due = taken.length > 0 ? { occasion: 'asked' } : (due ?? NOTHING_NEW);
    if (!dryRun) {
      due = null;
      armCatchUp(at);
    }
    const begun = clock.steady();
    try {
      const confirmed = new Set(taken.flatMap(({ request }) => [...(request.confirmed ?? [])]));
      const report = await pass({ ...at, dryRun, ...(confirmed.size > 0 && { confirmed }) }, controller.signal);
      if (!dryRun)
        lookAgain(report.failed === null ? report.recheckIn : Math.min(patience(), report.recheckIn ?? Infinity));
      if (report.failed === null) failures = 0;
      if (!dryRun) tell(() => onReport(report));
      for (const wish of taken) wish.resolve(report);
    } catch (error) {
      if (!dryRun) lookAgain(Math.min(patience(), recheckOf(error) ?? Infinity));
      tell(() => onFailure(error));
      for (const wish of taken) wish.reject(error);
    }
    running = null;
    rested();
    const took = Math.max(PAUSE_MS.least, Math.min(clock.steady() - begun, PAUSE_MS.most));
    if (!closed) pause = clock.after(took, rested);
  };

  const rested = (): void => {
    pause?.cancel();
    pause = null;
    kick();
  };

  const isThereWork = (): boolean => wishes.length > 0 || (due !== null && pause === null);

  /**
   * Everything that happens in a turn of the event loop becomes one pass. Node takes one connection in each turn, and its request
   * in the next: many callers that ask at once would get a pass each.
   */
  const gather = async (): Promise<void> => {
    let before: number;
    let turns = 0;
    do {
      before = wishes.length;
      await setImmediate();
      await setImmediate();
      turns += 2;
    } while (wishes.length > before && turns < MOST_TURNS);
  };

  const loop = async (): Promise<void> => {
    while (!closed && isThereWork()) {
      await gather();
      if (!closed) await runOnce();
    }
    armResync();
  };

  let looping = false;
  const kick = (): void => {
    // A long adoption must not hold up a revocation: it yields to the newer pass, which goes on with it. A dry run would not.
    if (due || wishes.some(({ request }) => !request.dryRun)) running?.abort();
    if (looping || !isThereWork()) return;
    looping = true;
    idle = loop().finally(() => {
      looping = false;
      if (!closed) kick();
    });
  };

  armResync();
  return {
    /**
     * Something in the key tree may have changed: look again soon.
     *
     * @param account the owner of the file; if left out, anything may have changed
     */
    changed: (account?: string): void => {
      // It may be a revocation. That must not wait as long as something that has failed often.
      failures = 0;
      look({ occasion: 'event', ...(account !== undefined && { changed: new Set([account]) }) });
    },
    /** A pass that begins after this call. Rejects with what the pass threw. */
    now: (request: PassRequest): Promise<PassReport> =>
      new Promise((resolve, reject) => {
        if (closed) return reject(stopping());
        wishes.push({ request, resolve, reject });
        kick();
      }),
    /** Ends the timers, waits for the pass that runs, and begins no other. */
    close: async (): Promise<void> => {
      closed = true;
      recheck?.cancel();
      resync?.cancel();
      catchUp?.cancel();
      pause?.cancel();
      running?.abort();
      await idle;
      for (const { reject } of wishes.splice(0)) reject(stopping());
    },
  };
};

const stopping = (): Error => failure('the server is stopping', { code: 'stopping' });

export type Scheduler = ReturnType<typeof createScheduler>;
