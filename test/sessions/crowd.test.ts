import { expect, test } from 'vitest';
import { type CrowdTimes, connectionsBeyond, followCrowds, sessionsBeyond } from '../../src/sessions/crowd.ts';
import { session } from './states.ts';

/** Connections of the account, one after the other; the port says which one it is. */
const connections = (account: string, since: readonly number[]) =>
  since.map((at, index) => session({ account, port: index + 1, steadySince: at }));

const portsBeyond = (sessions: Parameters<typeof connectionsBeyond>[0], now: number): readonly number[] =>
  connectionsBeyond(sessions, 2, now).map(({ port }) => port);

test('if an account has too many connections, the newest are beyond the limit, in whatever order they were noted', () => {
  expect(portsBeyond(connections('web01', [3, 1, 2]), 60_000)).toEqual([1]);
  expect(portsBeyond(connections('web01', [1, 2]), 60_000)).toEqual([]);
});

test('a connection that has only just come gets time: it may still be reading why it was refused', () => {
  expect(portsBeyond(connections('web01', [0, 0, 57_000]), 60_000)).toEqual([]);
  const atOnce = Array.from({ length: 18 }, () => 57_000);
  expect(portsBeyond(connections('web01', atOnce), 60_000)).toEqual([]);
  expect(portsBeyond(connections('web01', [0, 0, 57_000]), 87_000)).toEqual([]);
  expect(portsBeyond(connections('web01', [0, 0, 57_000]), 87_001)).toEqual([3]);
});

test('a flood of connections gets no time', () => {
  const since = [0, 0, ...Array.from({ length: 18 }, (_, index) => 57_000 + index)];
  expect(portsBeyond(connections('web01', since), 57_100)).toEqual([19, 20]);
});

test('every account is counted by itself', () => {
  const many = [...connections('web01', [1, 2, 3]), ...connections('web02', [4, 5]), ...connections('alice', [0, 9])];
  expect(connectionsBeyond(many, 2, 60_000)).toEqual([expect.objectContaining({ account: 'web01', steadySince: 3 })]);
});

test('sessions are counted by processes, too: an account that has had too many for long loses its newest connections', () => {
  const time = { now: 0 };
  let times: CrowdTimes = new Map();
  const all = [...connections('web01', [1, 3, 2]), ...connections('web02', [4])];
  const counts = new Map(all.map((each) => [each, each.account === 'web02' ? 4 : 2]));
  const countOf = (each: (typeof all)[number]): number => counts.get(each) ?? 0;
  const beyond = () => {
    times = followCrowds(times, all, countOf, 4, time.now);
    return sessionsBeyond(all, countOf, 4, times, time.now).map(({ account, port }) => `${account} ${port}`);
  };
  expect(beyond()).toEqual([]);
  time.now = 29_999;
  expect(beyond()).toEqual([]);
  time.now = 30_000;
  expect(beyond()).toEqual(['web01 2']);
  // Sessions that the launcher refuses come and go.
  counts.set(all[1] as (typeof all)[number], 0);
  expect(beyond()).toEqual([]);
  counts.set(all[1] as (typeof all)[number], 2);
  expect(beyond()).toEqual([]);
});
