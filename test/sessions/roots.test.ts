import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Connection, listConnections } from '../../src/sessions/connections.ts';
import type { Process } from '../../src/sessions/processes.ts';
import { candidates, matchRoots, sessionOfMonitor } from '../../src/sessions/roots.ts';
import { session } from './states.ts';

const process_ = (pid: number, parent: number, uid: number, ...words: string[]): Process => ({
  ...{ pid, parent, uid, start: pid * 10, words },
});
const LAUNCHER = (port: number) => ['python3', '-I', '/run/borg-serve', '--session', `192.0.2.7 ${port} 192.0.2.1 22`];

const connection = (pid: number, account: string, port: number | null = null): Connection => ({
  ...{ pid, start: pid * 10, account, borg: [], peer: port === null ? null : `192.0.2.7|${port}` },
});

test.each([
  ['9.2', 'sshd', 'sshd'],
  ['10.0', 'sshd-session', 'sshd-auth'],
])('the connections of OpenSSH %s are those that are logged in', (_, monitor, preauth) => {
  const found = listConnections([
    process_(1, 0, 0, 'tini'),
    process_(10, 1, 0, 'sshd: /usr/sbin/sshd -D -e [listener] 1 of 10-100 startups'),
    // idle
    process_(20, 10, 0, `${monitor}: web01 [priv]`),
    process_(21, 20, 10_000, `${monitor}: web01`),
    // runs borg
    process_(30, 10, 0, `${monitor}: web02 [priv]`, ''),
    process_(31, 30, 10_001, `${monitor}: web02@notty`),
    process_(32, 31, 10_001, ...LAUNCHER(4001)),
    // has not logged in
    process_(40, 10, 0, `${monitor}: web03 [priv]`),
    process_(41, 40, 104, `${preauth}: web03 [net]`),
    // is no sshd
    process_(50, 1, 10_002, 'sshd: web04 [priv]'),
    process_(51, 50, 10_002, 'sh'),
  ]);
  expect(found).toEqual([
    { pid: 20, start: 200, account: 'web01', peer: null, borg: [] },
    { pid: 30, start: 300, account: 'web02', peer: '192.0.2.7|4001', borg: [32] },
  ]);
});

test('a command names the session; what is left over is certain only if there is one of each', () => {
  const sessions = [session({ port: 1 }), session({ port: 2 })];
  const told = connection(20, 'web01', 2);
  expect([...matchRoots(sessions, [connection(10, 'web01'), told])]).toEqual([
    ['192.0.2.7|2', { pid: 20, start: 200 }],
    ['192.0.2.7|1', { pid: 10, start: 100 }],
  ]);
  expect([...matchRoots(sessions, [connection(10, 'web01'), connection(11, 'web01')])]).toEqual([]);
  expect([...matchRoots(sessions, [connection(10, 'web01')])]).toEqual([]);
  expect([...matchRoots(sessions, [connection(10, 'web02')])]).toEqual([]);
});

test('a root that was taken for another session’s is put right by its command', () => {
  const sessions = [
    session({ port: 1, process: { pid: 20, start: 200 } }),
    session({ port: 2, process: { pid: 10, start: 100 } }),
  ];
  const found = matchRoots(sessions, [connection(10, 'web01', 1), connection(20, 'web01', 2)]);
  expect(found.get('192.0.2.7|1')).toEqual({ pid: 10, start: 100 });
  expect(found.get('192.0.2.7|2')).toEqual({ pid: 20, start: 200 });
});

test('a connection is never taken for a session of another account from the same address and port', () => {
  const others = session({ port: 2, account: 'web02' });
  const connections = [connection(10, 'web01', 2)];
  expect([...matchRoots([others], connections)]).toEqual([]);
  expect(candidates(others, [others], connections)).toEqual([]);
});

test('no process is ever taken for two sessions', () => {
  const world = fc.array(
    fc.record({ account: fc.constantFrom('a', 'b', 'c'), told: fc.boolean(), bound: fc.boolean(), seen: fc.boolean() }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(world, fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }), (each, strangers) => {
      const connections = [
        ...each.map(({ account, told }, index) => connection(index + 10, account, told ? index : null)),
        ...strangers.map((account, index) => connection(index + 100, account)),
      ];
      const sessions = each.flatMap(({ account, bound, seen }, port) =>
        seen ? [session({ account, port, process: bound ? { pid: port + 10, start: (port + 10) * 10 } : null })] : [],
      );
      const matched = matchRoots(sessions, connections);
      const roots = sessions.flatMap((one) => matched.get(one.peer) ?? one.process ?? []).map(({ pid }) => pid);
      expect(new Set(roots).size).toBe(roots.length);
      for (const one of sessions) {
        const root = matched.get(one.peer);
        const carrier = connections.find(({ pid }) => pid === root?.pid);
        if (root) expect(carrier?.account).toBe(one.account);
        expect(candidates(one, sessions, connections).every(({ pid }) => pid >= 10)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('where it is in doubt, every connection of the account that no other session has may be the one', () => {
  const other = session({ port: 1, process: { pid: 10, start: 100 } });
  const doubtful = session({ port: 2 });
  const connections = [10, 11, 12].map((pid) => connection(pid, 'web01'));
  const found = candidates(doubtful, [other, doubtful], [...connections, connection(13, 'web02')]);
  expect(found.map(({ pid }) => pid)).toEqual([11, 12]);
});

test('a session that ended unseen is not taken for one that begins after its login', () => {
  const ended = session({ port: 1, ticks: 100 });
  const next = session({ port: 2, ticks: 130 });
  const monitor = { root: { pid: 12, start: 120 }, account: 'web01' };
  const connections = [connection(12, 'web01')];
  expect(candidates(ended, [ended, next], connections)).toEqual([]);
  expect([...matchRoots([ended], connections)]).toEqual([]);
  expect([...matchRoots([ended, next], connections)]).toEqual([['192.0.2.7|2', monitor.root]]);
  expect(sessionOfMonitor(monitor, [ended])).toBeNull();
  expect(sessionOfMonitor(monitor, [ended, next])).toBe(next);
});

test('sshd’s line about a login’s process binds the one session that waits, and none where that is another’s', () => {
  const monitor = { root: { pid: 10, start: 100 }, account: 'web01' };
  const waiting = session({ port: 2 });
  expect(sessionOfMonitor(monitor, [waiting, session({ port: 3, account: 'web02' })])).toBe(waiting);
  expect(sessionOfMonitor(monitor, [waiting, session({ port: 3 })])).toBeNull();
  // Its launcher named it before the line was read.
  expect(sessionOfMonitor(monitor, [session({ port: 1, process: monitor.root }), waiting])).toBeNull();
});
