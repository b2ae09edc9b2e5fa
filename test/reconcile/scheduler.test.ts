import { describe, expect, it } from 'vitest';
import { withRecheck } from '../../src/reconcile/failed-pass.ts';
import type { PassReport, PassRequest } from '../../src/reconcile/pass.ts';
import { createScheduler, type SchedulerOptions } from '../../src/reconcile/scheduler.ts';

const REPORT: PassReport = { changes: [], findings: [], accounts: [], stopped: false, failed: null, recheckIn: null };
const AT_ONCE: PassRequest = { occasion: 'asked', dryRun: false };
const REHEARSAL: PassRequest = { occasion: 'asked', dryRun: true };

/** The shortest time between two passes that follow events. */
const PAUSE = 10;

/** A clock that stands still until it is told to go on. */
const standingClock = () => {
  let now = 0;
  let timers: { readonly at: number; readonly action: () => void }[] = [];
  const clock: SchedulerOptions['clock'] = {
    steady: () => now,
    after: (milliseconds, action) => {
      const timer = { at: now + milliseconds, action };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
  };
  const advance = async (milliseconds: number): Promise<void> => {
    now += milliseconds;
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { action } of due) action();
    await settle();
  };
  return { clock, advance, timers: () => timers.map(({ at }) => at - now).sort((a, b) => a - b) };
};

/** Lets everything run that needs no time. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

type Running = {
  readonly request: PassRequest;
  readonly signal: AbortSignal;
  readonly end: (report?: Partial<PassReport>) => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
};

const start = (resyncSeconds = 300, tell: () => void = () => {}) => {
  const time = standingClock();
  const passes: Running[] = [];
  const reports: PassReport[] = [];
  const failures: unknown[] = [];
  const scheduler = createScheduler({
    pass: (request, signal) =>
      new Promise((resolve, reject) => {
        passes.push({
          request,
          signal,
          end: async (report = {}) => {
            resolve({ ...REPORT, ...report });
            await settle();
          },
          fail: async (error) => {
            reject(error);
            await settle();
          },
        });
      }),
    onReport: (report) => {
      reports.push(report);
      tell();
    },
    onFailure: (error) => {
      failures.push(error);
      tell();
    },
    resyncSeconds,
    clock: time.clock,
  });
  const pass = (index: number): Running => {
    const found = passes[index];
    if (!found) throw new Error(`there was no pass ${index}`);
    return found;
  };
  return { ...time, scheduler, passes, pass, reports, failures };
};

describe('the scheduler', () => {
  it('makes one pass of however many events', async () => {
    const { scheduler, passes, pass } = start();
    for (let event = 0; event < 1000; event += 1) scheduler.changed();
    await settle();
    expect(passes).toHaveLength(1);
    expect(pass(0).request).toEqual({ occasion: 'event', dryRun: false });
    await pass(0).end();
    expect(passes).toHaveLength(1);
  });

  it('looks again after an event that came while a pass ran, once, and never runs two at a time', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed();
    await settle();
    for (let event = 0; event < 10; event += 1) scheduler.changed();
    await settle();
    expect(passes).toHaveLength(1);
    await pass(0).end();
    await advance(PAUSE);
    expect(passes).toHaveLength(2);
    await pass(1).end();
    await advance(PAUSE);
    expect(passes).toHaveLength(2);
  });

  it('answers a request with a pass that began after it, and all requests in the meantime with the same pass', async () => {
    const { scheduler, passes, pass } = start();
    scheduler.changed();
    await settle();
    const answers: string[] = [];
    for (const who of ['a', 'b', 'c']) void scheduler.now(AT_ONCE).then(() => answers.push(who));
    await pass(0).end();
    expect(answers).toEqual([]);
    expect(passes).toHaveLength(2);
    expect(pass(1).request).toEqual(AT_ONCE);
    await pass(1).end();
    expect(answers).toEqual(['a', 'b', 'c']);
  });

  it('takes a pass that was asked for as the pass for the events before it, too', async () => {
    const { scheduler, passes, pass } = start();
    scheduler.changed();
    void scheduler.now(AT_ONCE);
    await settle();
    await pass(0).end();
    expect(passes).toHaveLength(1);
    expect(pass(0).request).toEqual(AT_ONCE);
  });

  it('does not take a dry run as the pass for an event, whichever comes first', async () => {
    for (const eventFirst of [true, false]) {
      const { scheduler, passes, pass } = start();
      if (eventFirst) scheduler.changed();
      const rehearsal = scheduler.now(REHEARSAL);
      if (!eventFirst) scheduler.changed();
      await settle();
      await pass(0).end();
      await pass(1).end();
      await rehearsal;
      expect(passes.map(({ request }) => request.dryRun).sort()).toEqual([false, true]);
    }
  });

  it('runs both a dry run and a real pass that are asked for together', async () => {
    const { scheduler, pass, reports } = start();
    const [rehearsed, real] = [scheduler.now(REHEARSAL), scheduler.now(AT_ONCE)];
    await settle();
    for (const index of [0, 1]) await pass(index).end({ failed: pass(index).request.dryRun ? 'rehearsed' : null });
    expect((await rehearsed).failed).toBe('rehearsed');
    expect((await real).failed).toBeNull();
    expect(reports).toHaveLength(1);
  });

  it('tells a pass that runs to hurry when something else has to be done, and goes on with what it left', async () => {
    for (const interruption of [AT_ONCE, REHEARSAL]) {
      const { scheduler, passes, pass } = start();
      scheduler.changed();
      await settle();
      const asked = scheduler.now(interruption);
      await settle();
      const interrupted = pass(0).signal.aborted;
      await pass(0).end();
      await pass(1).end();
      if (passes.length > 2) await pass(2).end();
      await asked;
      // What an interrupted pass left undone is done by a real one that comes after it.
      if (interrupted) expect(passes.slice(1).some(({ request }) => !request.dryRun)).toBe(true);
    }
  });

  it('interrupts a long pass whenever it is time to look at everything again, not only once', async () => {
    const { scheduler, advance, pass } = start(10);
    scheduler.changed();
    await settle();
    for (const index of [0, 1, 2]) {
      await advance(10_000);
      expect(pass(index).signal.aborted).toBe(true);
      await pass(index).end();
      // The pause after a long pass.
      await advance(100);
    }
  });

  it('comes back when a loss that had to wait may count', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed();
    await settle();
    await pass(0).end({ recheckIn: 200 });
    await advance(199);
    expect(passes).toHaveLength(1);
    await advance(1);
    expect(passes).toHaveLength(2);
  });

  it('comes back for a loss that waits although a dry run came between', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed();
    await settle();
    await pass(0).end({ recheckIn: 200 });
    void scheduler.now(REHEARSAL);
    await settle();
    await pass(1).end();
    await advance(200);
    expect(passes).toHaveLength(3);
    expect(pass(2).request.dryRun).toBe(false);
  });

  it('looks by itself every RESYNC_SECONDS', async () => {
    const { advance, passes, pass } = start(10);
    for (const count of [1, 2, 3]) {
      await advance(10_000);
      expect(passes).toHaveLength(count);
      expect(pass(count - 1).request).toEqual({ occasion: 'periodic', dryRun: false });
      await pass(count - 1).end();
    }
  });

  it('makes few passes of events that come one after the other, and lets a long pass be followed by a long pause', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed('web01');
    await settle();
    await advance(60);
    await pass(0).end();
    for (let event = 0; event < 59; event += 1) {
      scheduler.changed(`host${event}`);
      await advance(1);
    }
    expect(passes).toHaveLength(1);
    await advance(1);
    expect(passes).toHaveLength(2);
    await advance(60_000);
    await pass(1).end();
    scheduler.changed();
    await advance(99);
    expect(passes).toHaveLength(2);
    await advance(1);
    expect(passes).toHaveLength(3);
  });

  it('makes no request wait for that pause, nor a loss that has waited', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed('web01');
    await settle();
    await advance(100);
    await pass(0).end({ recheckIn: 50 });
    await advance(50);
    expect(passes).toHaveLength(2);
    await pass(1).end();
    void scheduler.now(AT_ONCE);
    await settle();
    expect(passes).toHaveLength(3);
  });

  it('names the accounts of the events, and no account if an event named none or if they are many', async () => {
    const { scheduler, advance, pass } = start();
    scheduler.changed('web01');
    scheduler.changed('db');
    scheduler.changed('web01');
    await settle();
    expect(pass(0).request).toEqual({ occasion: 'event', dryRun: false, changed: new Set(['web01', 'db']) });
    scheduler.changed('web01');
    scheduler.changed();
    scheduler.changed('db');
    await pass(0).end();
    await advance(PAUSE);
    expect(pass(1).request).toEqual({ occasion: 'event', dryRun: false });
    for (let name = 0; name < 1000; name += 1) scheduler.changed(`host${name}`);
    await pass(1).end();
    await advance(PAUSE);
    expect(pass(2).request).toEqual({ occasion: 'event', dryRun: false });
  });

  it('looks at the whole tree soon after it looked at some files, in case an event was lost', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed('web01');
    await settle();
    await pass(0).end();
    await advance(1000);
    scheduler.changed('db');
    await settle();
    await pass(1).end();
    await advance(1000);
    expect(pass(2).request).toEqual({ occasion: 'event', dryRun: false });
    await pass(2).end();
    await advance(10_000);
    expect(passes).toHaveLength(3);
  });

  it('looks everywhere when that is due, even if an event comes at the same time or a dry run comes first', async () => {
    const { scheduler, advance, passes, pass } = start(10);
    void scheduler.now(REHEARSAL);
    await settle();
    await advance(10_000);
    scheduler.changed();
    await pass(0).end();
    await advance(100);
    expect(pass(1).request).toEqual({ occasion: 'periodic', dryRun: false });
    await pass(1).end();
    scheduler.changed();
    await advance(PAUSE);
    expect(pass(2).request.occasion).toBe('event');
    expect(passes).toHaveLength(3);
  });

  it('tries again soon after a pass that threw or failed, ever more slowly, until one succeeds', async () => {
    const { scheduler, advance, passes, pass, failures } = start();
    scheduler.changed();
    await settle();
    await pass(0).fail(new Error('EIO'));
    expect(failures).toHaveLength(1);
    await advance(1000);
    await pass(1).end({ failed: 'ENOSPC' });
    await advance(1000);
    expect(passes).toHaveLength(2);
    await advance(1000);
    await pass(2).end();
    await advance(60_000);
    expect(passes).toHaveLength(3);
  });

  it('never waits longer for another try than for the periodic pass', async () => {
    const { scheduler, timers, advance, pass } = start(5);
    scheduler.changed();
    await settle();
    for (let failed = 0; failed < 8; failed += 1) {
      await pass(failed).fail(new Error('EIO'));
      await advance(PAUSE);
      expect(Math.min(...timers())).toBeLessThanOrEqual(5000);
      await advance(Math.min(...timers()));
    }
  });

  it('lets a loss that was seen in a failing pass wait a second at most, however often one has failed before', async () => {
    const { scheduler, advance, timers, passes, pass } = start(600);
    scheduler.changed();
    await settle();
    for (let failed = 0; failed < 8; failed += 1) {
      await pass(failed).fail(new Error('EIO'));
      await advance(PAUSE);
      await advance(Math.min(...timers()));
    }
    await pass(8).fail(new Error('EIO'));
    await advance(PAUSE);
    scheduler.changed('web01');
    await settle();
    await pass(9).fail(new Error('EIO'));
    await advance(1000);
    expect(passes).toHaveLength(11);
  });

  it('rejects what was asked for when the pass throws, and goes on', async () => {
    const { scheduler, advance, passes, pass } = start();
    const asked = expect(scheduler.now(AT_ONCE)).rejects.toThrow('EIO');
    await settle();
    await pass(0).fail(new Error('EIO'));
    await asked;
    scheduler.changed();
    await advance(PAUSE);
    expect(passes).toHaveLength(2);
  });

  it('looks again even if its report cannot be written to the log, and answers the request', async () => {
    const { scheduler, advance, passes, pass } = start(300, () => {
      throw new Error('ENOSPC of the log');
    });
    const asked = scheduler.now(AT_ONCE);
    await settle();
    await pass(0).end({ failed: 'EIO' });
    expect(await asked).toMatchObject({ failed: 'EIO' });
    await advance(1000);
    await pass(1).fail(new Error('EIO'));
    await advance(2000);
    await pass(2).end({ recheckIn: 200 });
    await advance(200);
    expect(passes).toHaveLength(4);
    await pass(3).end();
    const refused = expect(scheduler.now(AT_ONCE)).rejects.toThrow('EIO');
    await settle();
    await pass(4).fail(new Error('EIO'));
    await refused;
  });

  it('looks when a loss may count even if the pass has thrown, and not only when its patience ends', async () => {
    const { scheduler, advance, passes, pass } = start();
    scheduler.changed();
    await settle();
    await pass(0).fail(withRecheck(new Error('EIO'), 200) as Error);
    await advance(200);
    expect(passes).toHaveLength(2);
    await pass(1).fail(new Error('EIO'));
    await advance(1999);
    expect(passes).toHaveLength(2);
    await advance(1);
    expect(passes).toHaveLength(3);
  });

  it('reports every real pass, and no dry run', async () => {
    const { scheduler, pass, reports } = start();
    void scheduler.now(REHEARSAL);
    await settle();
    await pass(0).end();
    void scheduler.now(AT_ONCE);
    await settle();
    await pass(1).end();
    expect(reports).toHaveLength(1);
  });

  it('once closed waits for the pass that runs, ends its timers, and begins no other', async () => {
    const { scheduler, passes, pass, timers, advance } = start();
    scheduler.changed();
    await settle();
    scheduler.changed();
    let closed = false;
    const closing = scheduler.close().then(() => {
      closed = true;
    });
    await settle();
    expect(closed).toBe(false);
    expect(pass(0).signal.aborted).toBe(true);
    await pass(0).end({ recheckIn: 200 });
    await closing;
    expect(timers()).toEqual([]);
    scheduler.changed();
    await expect(scheduler.now(AT_ONCE)).rejects.toThrow();
    await advance(1_000_000);
    expect(passes).toHaveLength(1);
  });

  it('once closed turns away a request that still waited for a pass', async () => {
    const { scheduler, passes, pass } = start();
    scheduler.changed();
    await settle();
    const waiting = expect(scheduler.now(AT_ONCE)).rejects.toThrow();
    const closing = scheduler.close();
    await pass(0).end();
    await Promise.all([waiting, closing]);
    expect(passes).toHaveLength(1);
  });
});
