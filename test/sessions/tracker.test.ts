import { describe, expect, it } from 'vitest';
import type { Account, State } from '../../src/accounts/account.ts';
import type { Ending, EndOfConnection } from '../../src/sessions/end-connection.ts';
import { createHosted } from '../../src/sessions/hosted.ts';
import { idOf, type Process, type ProcessId } from '../../src/sessions/process.ts';
import { createTracker } from '../../src/sessions/tracker.ts';
import type { TrackerOptions } from '../../src/sessions/tracker-options.ts';
import { LISTENER, writerOf } from './hearing.ts';
import { process_ } from './process-list.ts';
import { settle, standingClock } from './standing-clock.ts';
import { account, keyOf, state } from './states.ts';

const SERVER = [process_(1, 0, { start: 1 }), process_(10, 1, { start: 2 }), process_(50, 10, { start: 90 })];
const WEB = account('web01', [keyOf(1)]);
/** The pid of the root process of a connection from this port, as in writerOf(). */
const rootOf = (port: number) => 100_000 + port;

type Ended = {
  readonly roots: readonly number[];
  readonly ending: Ending;
  readonly finish: (how?: EndOfConnection) => Promise<void>;
};

/** A tracker on a machine that does nothing by itself. */
const start = (granted: State = state(WEB), more: Partial<TrackerOptions> = {}) => {
  const time = standingClock();
  const lines: Record<string, unknown>[] = [];
  const write = (facts: object, msg: string): void => void lines.push({ ...facts, msg });
  const running = new Map<string, Process>(SERVER.map((each) => [idOf(each), each]));
  const broken = { proc: false, alive: false };
  const opened: string[] = [];
  const ended: Ended[] = [];
  const isAccount = (uid: number): boolean => uid >= 10_000;
  const hosted = createHosted(isAccount);
  const tracker = createTracker(
    {
      ...{ log: { info: write, warn: write, error: write }, port: 22, loginGraceSeconds: 120, hideStrangers: false },
      ...{ sessionsPerAccount: 50, isAccount, hosted, endOf: () => undefined, onClosed: () => {} },
      onOpened: ({ account: name }) => opened.push(name),
      ...more,
    },
    {
      clock: time.clock,
      proc: {
        list: () => {
          if (broken.proc) throw new Error('EMFILE');
          return [...running.values()];
        },
        isAlive: (process) => {
          if (broken.alive) throw new Error('EMFILE');
          return running.has(idOf(process));
        },
        ...{ isOfThisServer: () => true, wordsOf: () => [], usageOf: () => null },
        ticks: () => 1000 + time.clock.steady() / 10,
      },
      traffic: { look: async () => {}, of: () => undefined },
      end: (ending, onFound = () => {}) => {
        // Like the real one, it ends hosted sessions, which the kernel shows elsewhere, with their connection.
        onFound([...ending.roots.flatMap(ending.hosted.over).map(({ process }) => process), ...ending.roots]);
        return new Promise((resolve) => {
          const finish = async (how: EndOfConnection = 'ended') => {
            if (how !== 'alive') for (const each of ending.roots) end(each);
            resolve(how);
            await settle();
          };
          ended.push({ roots: ending.roots.map(({ pid }) => pid), ending, finish });
        });
      },
    },
  );
  /** A process ends, and all below it. */
  const end = ({ pid, start: began }: ProcessId): void => {
    running.delete(idOf({ pid, start: began }));
    for (const each of running.values()) if (each.parent === pid) end(each);
  };
  const run = (...processes: readonly Process[]): void => {
    for (const each of processes) running.set(idOf(each), each);
  };
  /** What the kernel shows of a login. */
  const connect = (port: number, uid = 10_000): void =>
    run(
      process_(rootOf(port), LISTENER.pid),
      process_(200_000 + port, rootOf(port), { uid, start: 101 }),
      process_(300_000 + port, 200_000 + port, { uid, start: 102 }),
    );
  const accepted = (port: number, name = 'web01', key = 1): string =>
    `Accepted publickey for ${name} from 192.0.2.7 port ${port} ssh2: ED25519 ${keyOf(key).fingerprint}`;
  const say = (text: string): void => void tracker.message({ text, ...writerOf(text) });
  /** A client logs in, and the kernel shows it. */
  const login = async (port: number, name = 'web01', key = 1): Promise<void> => {
    connect(port);
    say(accepted(port, name, key));
    await time.advance(1000);
  };
  tracker.listens(LISTENER);
  tracker.access(granted);
  const said = (msg: string) => lines.filter((line) => line.msg === msg);
  const ends = () => ended.map(({ roots }) => roots);
  const at = (index: number): Ended => {
    const found = ended[index];
    if (!found) throw new Error(`nothing was ended ${index + 1} times`);
    return found;
  };
  return {
    ...{
      ...time,
      tracker,
      hosted,
      lines,
      said,
      opened,
      ended: at,
      ends,
      run,
      end,
      connect,
      accepted,
      say,
      login,
      broken,
    },
  };
};

describe('a session', () => {
  it('is open once sshd tells of it and the kernel shows it, and goes on as long as it may', async () => {
    const { tracker, run, connect, say, accepted, opened, said, ends, advance } = start();
    run(process_(rootOf(4000), LISTENER.pid));
    say(accepted(4000));
    await advance(1000);
    expect(opened).toEqual([]);
    connect(4000);
    await advance(1000);
    expect(opened).toEqual(['web01']);
    expect(said('session opened')).toMatchObject([{ account: 'web01', from: '192.0.2.7', port: 4000 }]);
    expect(await tracker.list()).toMatchObject([{ account: 'web01', port: 4000, role: 'repo' }]);
    await advance(60_000);
    expect(ends()).toEqual([]);
    expect(opened).toEqual(['web01']);
  });

  it('is closed when its process has ended, with what sshd has said', async () => {
    const { login, say, end, said, tracker, advance } = start();
    await login(4000);
    say('Disconnected from user web01 192.0.2.7 port 4000');
    await advance(100);
    expect(said('session closed')).toEqual([]);
    end({ pid: rootOf(4000), start: 100 });
    await advance(300);
    expect(said('session closed')).toMatchObject([{ account: 'web01', how: 'the client disconnected' }]);
    expect(await tracker.list()).toEqual([]);
  });

  type Case = readonly [what: string, reason: string, accounts?: readonly Account[]];
  const CASES: readonly Case[] = [
    ['its account is gone', 'its account is gone'],
    ['its key is removed', 'its key is gone', [account('web01', [keyOf(2)])]],
    ['from= changes', 'its address is no longer in from=', [account('web01', [keyOf(1, { from: '192.0.2.8' })])]],
    ['its role changes', 'its role repo became append-only', [account('web01', [keyOf(1)], { role: 'append-only' })]],
    ['its user id changes', 'its account got another user id', [account('web01', [keyOf(1)], { uid: 10_001 })]],
    [
      'its key has expired already',
      'its key has expired',
      [account('web01', [keyOf(1, { expiryTime: '20260101115959Z' })])],
    ],
  ];
  it.each(CASES.map(([what, ...rest]) => [what, rest] as const))(
    'is ended in the very call that says so, when %s',
    async (_, [reason, accounts = []]) => {
      const { login, tracker, ends, ended, said } = start();
      await login(4000);
      tracker.access(state(...accounts));
      // The clock has not moved, and nobody has waited for anything.
      expect(ends()).toEqual([[rootOf(4000)]]);
      expect(ended(0).ending).toMatchObject({ uid: 10_000 });
      expect(said('session ended')).toEqual([]);
      await ended(0).finish();
      expect(said('session ended')).toMatchObject([{ account: 'web01', reason }]);
      expect(said('session closed')).toMatchObject([{ how: `ended by the server: ${reason}` }]);
    },
  );

  it('goes on while what it loses is withheld, or another loses something', async () => {
    const { login, tracker, ends, advance } = start(state(WEB, account('web02', [keyOf(2)], { uid: 10_001 })));
    await login(4000);
    tracker.access(state(WEB));
    await advance(5000);
    expect(ends()).toEqual([]);
    tracker.access(state());
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('is ended even if another one cannot be judged; the other one goes on', async () => {
    const web02 = account('web02', [keyOf(2)], { uid: 10_001 });
    const { connect, say, accepted, tracker, ends, said } = start(state(WEB, web02));
    connect(4000, 10_001);
    say(accepted(4000, 'web02', 2));
    connect(4001);
    say(accepted(4001));
    // No network has 99 bits. The reader of the key tree refuses such a key. If one came through, it must keep nobody else in.
    tracker.access(state({ ...web02, keys: [keyOf(2, { from: '10.0.0.0/99' })] }));
    expect(ends()).toEqual([[rootOf(4001)]]);
    expect(said('the sessions could not be looked at; it is tried again')).toHaveLength(1);
  });

  it('is judged again even while nobody can tell which processes have ended', async () => {
    const { tracker, login, ends, ended, broken } = start();
    await login(4000);
    tracker.access(state());
    broken.alive = true;
    await ended(0).finish('alive');
    expect(ends()).toHaveLength(2);
  });

  it('is ended when its key expires, by a timer of that moment', async () => {
    const { login, ends, advance, timers } = start(
      state(account('web01', [keyOf(1, { expiryTime: '20260101120130Z' })])),
    );
    expect(timers()).toContain(91_000);
    await login(4000);
    await advance(89_999);
    expect(ends()).toEqual([]);
    await advance(1001);
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('of an account that is not granted is ended as soon as sshd tells of it, whatever the kernel shows', async () => {
    const { say, accepted, ends, opened } = start(state());
    say(accepted(4000));
    expect(ends()).toEqual([[rootOf(4000)]]);
    expect(opened).toEqual([]);
  });

  it('that began before its account lost a privilege is ended, even if the privilege was given back before it was let in', async () => {
    const { tracker, connect, say, accepted, ends, advance } = start();
    tracker.access(state(account('web01', [keyOf(1)], { role: 'append-only' })));
    await advance(1000);
    tracker.access(state(WEB));
    connect(4000);
    say(accepted(4000));
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('is ended if an operator asks for it, by any of its names', async () => {
    const { tracker, login, ends, ended, said } = start();
    await login(4000);
    await login(4001);
    expect(tracker.end('nobody')).toEqual([]);
    expect(tracker.end('192.0.2.7:4001').map(({ port }) => port)).toEqual([4001]);
    await ended(0).finish();
    expect(ends()).toEqual([[rootOf(4001)]]);
    expect(said('session closed')).toMatchObject([{ port: 4001, how: 'ended by the server: an operator ended it' }]);
  });

  it('is ended once at a time, and again if it is still there', async () => {
    const { tracker, login, ends, ended, said, advance } = start();
    await login(4000);
    tracker.access(state());
    await advance(5000);
    expect(ends()).toHaveLength(1);
    await ended(0).finish('alive');
    expect(tracker.alarms()).toMatchObject([{ what: expect.stringMatching(/still there after KILL/) }]);
    expect(ends()).toHaveLength(2);
    await ended(1).finish('killed');
    expect(said('session killed: it did not end by itself')).toMatchObject([{ account: 'web01' }]);
    await advance(5000);
    expect(ends()).toHaveLength(2);
  });

  it('beyond the limit of its account is ended after a time in which it may end by itself', async () => {
    const { login, ends, advance } = start(state(WEB), { sessionsPerAccount: 2 });
    for (const port of [4000, 4001, 4002]) await login(port);
    await advance(29_000);
    expect(ends()).toEqual([]);
    await advance(2000);
    expect(ends()).toEqual([[rootOf(4002)]]);
  });
});

describe('what sshd’s log and the kernel do not agree on', () => {
  it('a connection that is logged in and of which no line tells is ended after a while, with an alarm', async () => {
    const { connect, ends, said, tracker, advance } = start();
    connect(4000);
    await advance(10_000);
    expect(ends()).toEqual([]);
    await advance(1000);
    expect(ends()).toEqual([[rootOf(4000)]]);
    expect(tracker.alarms()).toMatchObject([{ what: expect.stringMatching(/does not tell/), times: 1 }]);
    expect(said(tracker.alarms()[0]?.what ?? '')).toMatchObject([{ account: 'web01', pid: rootOf(4000), uid: 10_000 }]);
  });

  it('such a connection is ended a moment later if its account loses a key, by a look of its own', async () => {
    const { connect, tracker, ends, advance } = start();
    connect(4000);
    await advance(1000);
    tracker.access(state(account('web01', [keyOf(2)])));
    expect(ends()).toEqual([]);
    await advance(101);
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('such a connection is ended at once if its account is gone', () => {
    const { connect, tracker, ends } = start();
    connect(4000);
    tracker.access(state());
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('a login that the kernel does not show for ten seconds is ended', async () => {
    const { run, say, accepted, ends, opened, tracker, advance } = start();
    run(process_(rootOf(4000), LISTENER.pid));
    say(accepted(4000));
    await advance(10_000);
    expect(ends()).toEqual([]);
    await advance(1000);
    expect([ends(), opened, tracker.alarms()]).toEqual([[[rootOf(4000)]], [], []]);
  });

  it('a login that somebody else has written opens nothing, and is an alarm', async () => {
    const { tracker, accepted, opened, ends, advance } = start();
    tracker.message({ text: accepted(4000), pid: 7000, uid: 0, parent: 10, start: 100 });
    await advance(2000);
    expect(tracker.alarms()).toHaveLength(1);
    expect([opened, ends(), await tracker.list()]).toEqual([[], [], []]);
  });

  it('a connection with two logins is ended: nobody knows which of them let it in', async () => {
    const { login, say, accepted, ends, ended, said } = start(state(WEB, account('web02', [keyOf(2)])));
    await login(4000);
    say(accepted(4000, 'web02', 2));
    expect(ends()).toEqual([[rootOf(4000)]]);
    await ended(0).finish();
    expect(said('session ended')).toMatchObject([{ reason: 'its log tells of two logins' }]);
  });
});

describe('what an account has under no connection', () => {
  const outsider = process_(70, 1, { uid: 10_000 });

  it('is ended after a second, all of it at once', async () => {
    const { run, ends, ended, said, advance } = start();
    run(outsider, process_(71, 1, { uid: 10_000 }));
    await advance(1000);
    expect(ends()).toEqual([]);
    await advance(1000);
    expect(ends()).toEqual([[70, 71]]);
    await ended(0).finish();
    expect(said('process ended')).toMatchObject([
      { account: 'web01', processes: 2, reason: 'its connection has ended' },
    ]);
  });

  /** A hosted session over this connection whose client is gone: the kernel shows it as a child of the first process. */
  const orphan = (port: number) => ({
    ...{ process: { pid: 70, start: 100 }, client: { pid: 99, start: 99 }, uid: 10_000 },
    connection: { pid: rootOf(port), start: 100 },
  });

  it('is not told again while it is being ended with its session: a borg that is told twice may leave its lock behind', async () => {
    const { hosted, login, run, tracker, ends, ended, advance } = start();
    await login(4000);
    run(outsider);
    hosted.began(orphan(4000));
    tracker.access(state());
    expect(ended(0).ending.hosted.over(orphan(4000).connection)).toMatchObject([{ process: { pid: 70 } }]);
    await advance(2900);
    expect(ends()).toEqual([[rootOf(4000)]]);
  });

  it('that is ended with its session does not count against later processes of its account', async () => {
    const { hosted, login, run, tracker, end, ends, ended, advance } = start();
    await login(4000);
    run(outsider);
    hosted.began(orphan(4000));
    tracker.end('web01');
    await advance(5000);
    await ended(0).finish();
    hosted.ended(outsider, { cpuSeconds: 0, peakMemory: 0 });
    end(outsider);
    run(process_(72, 1, { uid: 10_000 }));
    await advance(1000);
    expect(ends()).toEqual([[rootOf(4000)]]);
    await advance(1000);
    expect(ends()).toEqual([[rootOf(4000)], [72]]);
  });

  it('is not told twice either if the same look finds that both it and its session must end', async () => {
    const { hosted, run, say, accepted, ends, advance } = start();
    run(process_(rootOf(4000), LISTENER.pid));
    say(accepted(4000));
    await advance(9500);
    run(outsider);
    hosted.began(orphan(4000));
    await advance(1400);
    expect(ends()).toEqual([]);
    await advance(1100);
    expect(ends()).toEqual([[rootOf(4000)]]);
  });
});

describe('where /proc cannot be read', () => {
  it('a session that has lost its right is still ended, and the others are looked for as soon as /proc can be read', async () => {
    const { login, connect, broken, tracker, ends, said, advance } = start();
    await login(4000);
    connect(4001);
    broken.proc = true;
    tracker.access(state());
    expect(ends()).toEqual([[rootOf(4000)]]);
    expect(said('the sessions could not be looked at; it is tried again').length).toBeGreaterThan(0);
    await advance(30_000);
    expect(said('the sessions could not be looked at; it is tried again')).toHaveLength(3);
    expect(ends()).toHaveLength(1);
    broken.proc = false;
    await advance(1000);
    expect(ends()).toEqual([[rootOf(4000)], [rootOf(4001)]]);
  });
});

describe('at the end of the server', () => {
  it('all processes are known, even without a session or a connection', async () => {
    const { login, connect, run, tracker } = start();
    await login(4000);
    connect(4001);
    run(process_(70, 1, { uid: 10_000 }));
    expect(tracker.running()).toEqual([
      { pid: rootOf(4000), start: 100, uid: 10_000, account: 'web01' },
      { pid: rootOf(4001), start: 100, uid: 10_000, account: 'uid 10000' },
      { pid: 70, start: 100, uid: 10_000, account: 'uid 10000' },
    ]);
  });

  it('the server waits for sessions that are being ended, tells all that are over, and leaves no timer', async () => {
    const key = keyOf(1, { expiryTime: '20260201' });
    const { login, tracker, ended, end, said, timers } = start(state(account('web01', [key])));
    await login(4000);
    await login(4001);
    tracker.end('192.0.2.7:4000');
    let closed = false;
    const closing = tracker.close().then(() => {
      closed = true;
    });
    await settle();
    expect(closed).toBe(false);
    end({ pid: rootOf(4001), start: 100 });
    await ended(0).finish();
    await closing;
    expect(said('session closed').map(({ port }) => port)).toEqual([4000, 4001]);
    expect(timers()).toEqual([]);
  });
});
