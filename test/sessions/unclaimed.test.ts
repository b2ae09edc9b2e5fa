import { expect, test } from 'vitest';
import type { Connection } from '../../src/sessions/connections.ts';
import { createPatience, unclaimed } from '../../src/sessions/unclaimed.ts';
import { session } from './states.ts';

const connection = (pid: number, account = 'web01', port: number | null = null): Connection => ({
  ...{ pid, start: pid * 10, account, borg: [], peer: port === null ? null : `192.0.2.7|${port}` },
});
const boundTo = (pid: number, port: number) => session({ port, process: { pid, start: pid * 10 } });
const pids = (found: ReadonlyMap<string, readonly Connection[]>) => [...found.values()].flat().map(({ pid }) => pid);

test('every connection is its session’s, or in doubt with as many sessions as there are connections', () => {
  const sessions = [boundTo(10, 1), session({ port: 2 }), session({ port: 3 })];
  expect(
    pids(
      unclaimed(
        sessions,
        [10, 11, 12].map((pid) => connection(pid)),
      ),
    ),
  ).toEqual([]);
  expect(pids(unclaimed([], []))).toEqual([]);
});

test('one more than there are sessions makes all in doubt unclaimed, of its account alone', () => {
  const sessions = [boundTo(10, 1), session({ port: 2 }), session({ port: 9, account: 'web02' })];
  const connections = [connection(10), connection(11), connection(12), connection(20, 'web02')];
  expect(pids(unclaimed(sessions, connections))).toEqual([11, 12]);
  // It runs a command of a session that nobody knows.
  expect(pids(unclaimed([boundTo(10, 1)], [connection(10), connection(11, 'web01', 7)]))).toEqual([11]);
});

test('so does one less: a session that ended unseen might be taken for a connection that is there', () => {
  expect(pids(unclaimed([session({ port: 1 }), session({ port: 2 })], [connection(11)]))).toEqual([11]);
});

test('who is unclaimed for ten seconds has been so for long, each connection and its account alike', () => {
  let now = 0;
  const lasting = createPatience(() => now);
  const at = (time: number, ...found: readonly Connection[]) => {
    now = time;
    return lasting(new Map(Object.entries(Object.groupBy(found, ({ account }) => account) as object))).map(
      ({ pid }) => pid,
    );
  };
  const [first, second] = [connection(11), connection(12)];
  expect(at(0, first)).toEqual([]);
  expect(at(9_000, first, second)).toEqual([]);
  expect(at(11_000, first, second)).toEqual([11]);
  // In between everything was in order: it begins anew.
  expect(at(12_000)).toEqual([]);
  expect(at(20_000, second)).toEqual([]);
  expect(at(29_000, second)).toEqual([]);
  expect(at(31_000, second)).toEqual([12]);
});
