import { describe, expect, it } from 'vitest';
import { listConnections } from '../../src/sessions/connections.ts';
import type { HostedSession } from '../../src/sessions/host-line.ts';
import { createHosted } from '../../src/sessions/hosted.ts';
import { outsiders } from '../../src/sessions/outsiders.ts';
import { type Process, TICKS_PER_SECOND } from '../../src/sessions/process.ts';
import { type Session, sessionsOver } from '../../src/sessions/session.ts';
import { process_ } from './process-list.ts';

const LISTENER = { pid: 50, start: 90 };
const HOST = { pid: 40, start: 80 };
const TENANT = { uid: 10_001 };
const isAccount = (uid: number): boolean => uid >= 10_000;
/** Soon after everything in these lists has begun. */
const NOW = 130;

const server = [
  ...[process_(1, 0, { start: 1 }), process_(10, 1, { start: 2 })],
  ...[process_(50, 10, { start: 90 }), process_(40, 10, { start: 80 })],
];
/** A connection: root's process, sshd's process that runs as the account, and the forced command. */
const connection = [process_(60, 50), process_(61, 60, TENANT), process_(62, 61, { ...TENANT, start: 119 })];
const session = (more: Partial<HostedSession> = {}): HostedSession => ({
  ...{ process: { pid: 500, start: 120 }, client: { pid: 62, start: 119 }, connection: { pid: 60, start: 100 } },
  ...{ uid: 10_001, ...more },
});
const forked = (more: Partial<Process> = {}): Process => process_(500, 40, { ...TENANT, start: 120, ...more });

const create = (...sessions: readonly HostedSession[]) => {
  const hosted = createHosted(isAccount);
  hosted.follow(HOST);
  for (const each of sessions) hosted.began(each);
  return hosted;
};
const parentIn = (processes: readonly Process[], pid = 500) => processes.find((each) => each.pid === pid)?.parent;
const seen = (hosted: ReturnType<typeof create>, processes: readonly Process[], now = NOW) => {
  const corrected = hosted.correct(processes, now);
  const connections = listConnections(corrected, LISTENER, new Set(), isAccount);
  return {
    connections,
    outside: outsiders(corrected, connections, LISTENER, isAccount).map(({ pid }) => pid),
    parent: parentIn(corrected),
  };
};

describe('a hosted session', () => {
  it('is below its client, whoever is its parent: the host, or the first process once the host has died', () => {
    for (const parent of [40, 1]) {
      const { connections, outside } = seen(create(session()), [...server, ...connection, forked({ parent })]);
      expect(connections).toEqual([{ pid: 60, start: 100, uid: 10_001, below: [61, 62, 500] }]);
      expect(outside).toEqual([]);
    }
  });

  it('is there also while it still runs as root, with its own processes below it', () => {
    const own = process_(501, 500, { ...TENANT, start: 121 });
    const { connections } = seen(create(session()), [...server, ...connection, forked({ uid: 0 }), own]);
    expect(connections).toMatchObject([{ below: [61, 62, 500, 501] }]);
  });

  it.each([
    ['its client is gone', connection.slice(0, 2)],
    ['its client has ended and waits to be reaped', [...connection.slice(0, 2), { ...connection[2], ended: true }]],
    ['its client is another process by now', [...connection.slice(0, 2), { ...connection[2], start: 125 }]],
    ['its client is somebody else’s', [...connection.slice(0, 2), { ...connection[2], uid: 10_002 }]],
    ['its connection is gone', connection.slice(1)],
    ['its connection is not root’s', [{ ...connection[0], uid: 10_001 }, ...connection.slice(1)]],
  ] as const)('is an outsider where %s', (_, left) => {
    const { outside } = seen(create(session()), [...server, ...(left as readonly Process[]), forked()]);
    expect(outside).toContain(500);
  });

  it('is an outsider if it runs as somebody else than its line says', () => {
    expect(seen(create(session()), [...server, ...connection, forked({ uid: 10_002 })]).outside).toEqual([500]);
  });

  it('of which no line tells yet is left alone for two seconds, and then it is an outsider', () => {
    const processes = [...server, ...connection, forked()];
    expect(seen(create(), processes)).toMatchObject({ outside: [], parent: 40 });
    expect(seen(create(), processes, 120 + 2 * TICKS_PER_SECOND)).toMatchObject({ outside: [] });
    expect(seen(create(), processes, 121 + 2 * TICKS_PER_SECOND)).toMatchObject({ outside: [500], parent: 1 });
  });

  it('of a host that has ended and was reaped is recognised by its line', () => {
    const hosted = create();
    hosted.correct(server.slice(0, 3), NOW);
    hosted.began(session());
    expect(seen(hosted, [...server.slice(0, 3), ...connection, forked({ parent: 1 })]).outside).toEqual([]);
  });

  it('does not change another process that has got its pid', () => {
    expect(seen(create(session()), [...server, ...connection, forked({ start: 125, parent: 61 })]).parent).toBe(61);
  });

  it('is never below itself, whatever a line says', () => {
    const two = { pid: 501, start: 120 };
    const hosted = create(
      session({ client: two }),
      session({ process: two, client: { pid: 500, start: 120 } }),
      session({ process: { pid: 502, start: 120 }, client: { pid: 502, start: 120 } }),
    );
    const more = [process_(501, 40, { ...TENANT, start: 120 }), process_(502, 40, { ...TENANT, start: 120 })];
    expect(seen(hosted, [...server, ...connection, forked(), ...more]).outside).toEqual([500, 501, 502]);
  });
});

it('only processes of accounts are changed: root’s processes below a host stay as the kernel shows them', () => {
  const processes = [...server, process_(500, 40, { start: 1 })];
  expect(create().correct(processes, 1e6)).toEqual(processes);
});

describe('sessions over a connection', () => {
  const labelled = { process: { pid: 60, start: 100 } } as Session;
  const count = (hosted: ReturnType<typeof create>, ...more: readonly Process[]) =>
    sessionsOver(seen(hosted, [...server, ...connection, ...more]).connections, hosted.over)(labelled);
  const client = process_(63, 61, { ...TENANT, start: 121 });
  const second = session({ process: { pid: 501, start: 122 }, client: { pid: 63, start: 121 } });

  it('are as many as there are, hosted, cold, or both', () => {
    expect(count(create())).toBe(1);
    expect(count(create(session()), forked())).toBe(1);
    expect(count(create(session()), forked(), client)).toBe(2);
    const other = process_(501, 40, { ...TENANT, start: 122 });
    expect(count(create(session(), second), forked(), client, other)).toBe(2);
  });

  it('count each one, also if a session that was taken over has opened another, or a client has opened several', () => {
    const other = process_(501, 40, { ...TENANT, start: 122 });
    const taken = session({ process: { pid: 501, start: 122 }, client: { pid: 500, start: 120 } });
    expect(count(create(session(), taken), forked(), other)).toBe(2);
    expect(count(create(session(), session({ process: { pid: 501, start: 122 } })), forked(), other)).toBe(2);
  });

  it('are told by connection, and forgotten with their processes', () => {
    const hosted = create(session(), session({ ...second, connection: { pid: 70, start: 100 } }));
    expect(hosted.over({ pid: 60, start: 100 })).toEqual([session()]);
    expect(hosted.over({ pid: 60, start: 101 })).toEqual([]);
    const clients = [62, 63, 500].filter((pid) => hosted.isClient({ pid, start: pid === 62 ? 119 : 121 }));
    expect(clients).toEqual([62, 63]);
    hosted.correct([...server, ...connection], NOW);
    expect(hosted.over({ pid: 60, start: 100 })).toEqual([]);
    expect(hosted.isClient({ pid: 62, start: 119 })).toBe(false);
    // What the session said last may not have been read yet.
    expect(hosted.connectionOf({ pid: 500, start: 120 })).toEqual({ pid: 60, start: 100 });
    expect(hosted.connectionOf({ pid: 500, start: 121 })).toBeUndefined();
  });
});

describe('what sessions have used', () => {
  const USED = { cpuSeconds: 0.5, peakMemory: 30e6 };
  const root = { pid: 60, start: 100 };

  it('is summed by connection, each session once, even if it was seen to be gone before', () => {
    const hosted = create(session(), session({ process: { pid: 501, start: 122 } }));
    expect(hosted.usageOf(root)).toBeUndefined();
    hosted.correct(server, NOW);
    hosted.ended({ pid: 500, start: 120 }, USED);
    hosted.ended({ pid: 500, start: 120 }, USED);
    hosted.ended({ pid: 999, start: 120 }, USED);
    expect(hosted.usageOf(root)).toEqual(USED);
    hosted.ended({ pid: 501, start: 122 }, { cpuSeconds: 0.25, peakMemory: 20e6 });
    expect(hosted.usageOf(root)).toEqual({ cpuSeconds: 0.75, peakMemory: 30e6 });
  });

  it('is kept as long as somebody may ask', () => {
    const hosted = create(session());
    hosted.ended({ pid: 500, start: 120 }, USED);
    hosted.forget(({ pid }) => pid === 60);
    expect(hosted.usageOf(root)).toEqual(USED);
    hosted.forget(() => false);
    expect(hosted.usageOf(root)).toBeUndefined();
  });

  it('does not fill the memory', () => {
    const hosted = create();
    for (let pid = 1000; pid < 31_000; pid += 1) {
      const name = { pid, start: 120 };
      hosted.began(session({ process: name, connection: name }));
      if (pid % 2 === 0) hosted.ended(name, USED);
    }
    const kept = (of: (name: { pid: number; start: number }) => unknown) =>
      Array.from({ length: 30_000 }, (_, index) => of({ pid: 1000 + index, start: 120 })).filter(Boolean).length;
    expect(kept((name) => hosted.over(name)[0])).toBeLessThanOrEqual(20_000);
    expect(kept(hosted.connectionOf)).toBeLessThanOrEqual(22_000);
    expect(kept(hosted.usageOf)).toBeLessThanOrEqual(20_000);
  });
});
