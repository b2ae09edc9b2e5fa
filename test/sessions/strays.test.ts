import { describe, expect, it } from 'vitest';
import type { State } from '../../src/accounts/account.ts';
import type { Connection } from '../../src/sessions/connections.ts';
import type { Process } from '../../src/sessions/process.ts';
import type { PrivilegeLosses } from '../../src/sessions/revocation.ts';
import { followStrays, judgeStrays, noStrays } from '../../src/sessions/strays.ts';
import { process_ } from './process-list.ts';
import { account, keyOf, state } from './states.ts';

const WEB = state(account('web01', [keyOf(1)]));
const connection: Connection = { pid: 60, start: 100, uid: 10_000, below: [] };
const outsider = process_(62, 1, { uid: 10_000 });

const TOLD_BY_NOBODY = 'a connection is logged in of which sshd’s log does not tell; it is ended';

const clock = () => {
  const time = { now: 0 };
  let times = noStrays(0);
  /** One look, and what must end after it. */
  const strays = (
    connections: readonly Connection[],
    outside: readonly Process[],
    granted: State,
    losses: PrivilegeLosses,
    lost: ReadonlySet<number> = new Set(),
  ) => {
    times = followStrays(times, { connections, outside }, lost, time.now);
    return judgeStrays({ connections, outside }, times, { state: granted, losses });
  };
  return { time, strays };
};

it('a connection of which no line tells is ended after a while, with an alarm', () => {
  const { time, strays } = clock();
  const look = () => strays([connection], [], WEB, new Map());
  for (time.now = 0; time.now < 10_000; time.now += 2500) expect(look()).toEqual([]);
  expect(look()).toMatchObject([{ kind: 'session', alarm: TOLD_BY_NOBODY, roots: [{ pid: 60 }] }]);
});

it('a connection is not ended because the server did not run for a while: it has read no line meanwhile either', () => {
  const { time, strays } = clock();
  const look = () => strays([connection], [], WEB, new Map());
  expect(look()).toEqual([]);
  time.now = 600_000;
  expect(look()).toEqual([]);
  for (let looks = 0; looks < 2; looks += 1) {
    time.now += 3000;
    expect(look()).toEqual([]);
  }
  time.now += 1000;
  expect(look()).toHaveLength(1);
});

it('a connection of which no line tells is ended at once if its account is gone, or has lost a privilege since it began', () => {
  const { strays } = clock();
  expect(strays([connection], [], state(), new Map())).toMatchObject([{ reason: 'its account is gone', alarm: null }]);
  expect(strays([connection], [], WEB, new Map([['web01', 100]]))).toMatchObject([
    { reason: 'its account lost a privilege', alarm: null },
  ]);
  expect(strays([connection], [], WEB, new Map([['web01', 99]]))).toEqual([]);
});

it('a connection of which no line tells is ended a moment later if its account has lost a key: the line may be on its way', () => {
  const { time, strays } = clock();
  expect(strays([connection], [], WEB, new Map(), new Set([10_000]))).toEqual([]);
  time.now = 100;
  expect(strays([connection], [], WEB, new Map())).toHaveLength(1);
});

it('a process under no connection gets a second to end by itself, and hardly any after a loss', () => {
  const { time, strays } = clock();
  const look = (lost: ReadonlySet<number> = new Set(), accounts = WEB) =>
    strays([], [outsider], accounts, new Map(), lost);
  expect(look()).toEqual([]);
  time.now = 1000;
  expect(look()).toMatchObject([{ kind: 'process', reason: 'its connection has ended' }]);
  for (const [accounts, why] of [
    [WEB, 'its connection has ended'],
    [state(), 'its account is gone'],
  ] as const) {
    const after = clock();
    expect(after.strays([], [outsider], accounts, new Map(), new Set([10_000]))).toEqual([]);
    after.time.now = 100;
    expect(after.strays([], [outsider], accounts, new Map())).toMatchObject([{ reason: why }]);
  }
});

it('a process that is not seen any more is forgotten: another one with its pid gets its own time', () => {
  const { time, strays } = clock();
  strays([], [outsider], WEB, new Map());
  strays([], [], WEB, new Map());
  time.now = 5000;
  expect(strays([], [outsider], WEB, new Map())).toEqual([]);
});

describe('an account whose process forks and ends again and again', () => {
  const chain = (pid: number, start = pid) => process_(pid, 1, { uid: 10_000, start });

  it('is ended although each of them is new, and although most looks miss it', () => {
    const { time, strays } = clock();
    for (const [at, seen] of [
      [0, true],
      [1000, false],
      [2500, true],
    ] as const) {
      time.now = at;
      expect(strays([], seen ? [chain(1000 + at)] : [], WEB, new Map())).toEqual([]);
    }
    time.now = 3000;
    const all = [chain(5000), chain(5001)];
    expect(strays([], all, WEB, new Map())).toMatchObject([{ kind: 'process', uid: 10_000, roots: all }]);
  });

  it('gets no more time than another after a loss', () => {
    const { time, strays } = clock();
    expect(strays([], [], WEB, new Map(), new Set([10_000]))).toEqual([]);
    time.now = 1000;
    expect(strays([], [chain(1000)], WEB, new Map())).toEqual([]);
    time.now = 1100;
    expect(strays([], [chain(1001)], WEB, new Map())).toHaveLength(1);
  });

  it('gets its usual time again when the loss is long ago', () => {
    const { time, strays } = clock();
    expect(strays([], [], WEB, new Map(), new Set([10_000]))).toEqual([]);
    time.now = 10_001;
    expect(strays([], [chain(1000)], WEB, new Map())).toEqual([]);
    time.now = 10_900;
    expect(strays([], [chain(1000)], WEB, new Map())).toEqual([]);
    time.now = 11_001;
    expect(strays([], [chain(1000)], WEB, new Map())).toHaveLength(1);
  });

  it('is not confused with sessions that end now and then, and gets more time if accounts share a user id', () => {
    const { time, strays } = clock();
    const BOTH = state(account('web01', [keyOf(1)]), account('web02', [keyOf(2)]));
    for (time.now = 0; time.now < 20_000; time.now += 4000)
      expect(strays([], [chain(time.now)], WEB, new Map())).toEqual([]);
    for (; time.now < 29_000; time.now += 1000) expect(strays([], [chain(time.now)], BOTH, new Map())).toEqual([]);
    time.now = 30_000;
    expect(strays([], [chain(30_000)], BOTH, new Map())).toHaveLength(1);
  });
});
