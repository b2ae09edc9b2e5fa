import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLedger, type LedgerEvent } from '../../src/sessions/ledger.ts';
import { parseLogLine } from '../../src/sshd/log.ts';
import { hear, LISTENER, writerOf } from './hearing.ts';
import { account, keyOf, state } from './states.ts';

const recorded = (version: string): string[] =>
  readFileSync(join(import.meta.dirname, `../sshd/recorded/openssh-${version}.log`), 'utf8')
    .trim()
    .split('\n');

const start = (accounts = state(), steady = () => 1000) =>
  createLedger(
    () => accounts,
    ({ parent }) => parent === LISTENER.pid,
    () => 1000,
    steady,
  );
const feed = (lines: readonly string[], accounts = state(), uid?: number): readonly LedgerEvent[] => {
  const ledger = start(accounts);
  return lines.flatMap((line) => hear(ledger, line, uid));
};
const kinds = (events: readonly LedgerEvent[]) => events.map(({ kind }) => kind);

const opened = (port: number, key: number, name = 'web01') => [
  `Connection from 192.0.2.7 port ${port} on 192.0.2.1 port 22 rdomain ""`,
  `Accepted key ED25519 ${keyOf(key).fingerprint} found at /run/borgserver/authorized_keys/${name}:1`,
  `Postponed publickey for ${name} from 192.0.2.7 port ${port} ssh2 [preauth]`,
  `Accepted publickey for ${name} from 192.0.2.7 port ${port} ssh2: ED25519 ${keyOf(key).fingerprint}`,
  `User child is on pid ${200_000 + port}`,
  `Starting session: forced-command (config) 'exec x' for ${name} from 192.0.2.7 port ${port} id 0`,
];
const closed = (port: number, name = 'web01') => [
  `Received disconnect from 192.0.2.7 port ${port}:11: disconnected by user`,
  `Disconnected from user ${name} 192.0.2.7 port ${port}`,
];
/** What OpenSSH writes of a login with a key that nobody knows. */
const stranger = (port: number, name: string) => [
  `Connection from 192.0.2.7 port ${port} on 192.0.2.1 port 22 rdomain ""`,
  `Failed publickey for ${name} from 192.0.2.7 port ${port} ssh2: ED25519 ${keyOf(9).fingerprint}`,
  `Connection closed by authenticating user ${name} 192.0.2.7 port ${port} [preauth]`,
];

describe.each(['9.2', '10.0'])('the recorded lines of OpenSSH %s', (version) => {
  const events = feed(recorded(version), state(account('web01', []), account('boss', [])));

  test('open a session for each login', () => {
    const logins = recorded(version).filter((line) => line.startsWith('Accepted publickey')).length;
    expect(logins).toBeGreaterThan(0);
    expect(kinds(events).filter((kind) => kind === 'accepted')).toHaveLength(logins);
    expect(kinds(events)).toContain('opened');
  });

  test('tell the end of what was opened, and of nothing that was not', () => {
    const open = new Set<string>();
    let leaving = 0;
    for (const event of events) {
      if (event.kind === 'accepted') open.add(event.session.peer);
      if (event.kind !== 'leaving') continue;
      leaving += 1;
      expect(open.has(event.session.peer)).toBe(true);
    }
    expect(leaving).toBeGreaterThan(0);
  });

  test.each([
    ['web01', 'failed'],
    ['nobodyatall', 'unknown-user'],
    ['x from 1.2.3.4 port 22', 'unknown-user'],
    ['root', 'not-allowed'],
    [null, 'not-ssh'],
    [null, 'nothing-in-common'],
  ])('refuse %s because: %s', (asked, reason) => {
    const refusals = events.flatMap((event) => (event.kind === 'refused' ? [event.refusal] : []));
    expect(refusals).toContainEqual(expect.objectContaining({ asked, reason, address: '127.0.0.1' }));
  });
});

test('a session carries role, uid, comment and place of the line that admitted it', () => {
  const accounts = state(account('web01', [keyOf(1), keyOf(2)], { role: 'append-only', uid: 10_007 }));
  expect(feed(opened(4000, 2), accounts, 10_007)).toContainEqual({
    kind: 'opened',
    session: expect.objectContaining({
      ...{ account: 'web01', role: 'append-only', uid: 10_007, fingerprint: keyOf(2).fingerprint, comment: 'key 2' },
      ...{ file: '/sshkeys/repos/some', line: 2, address: '192.0.2.7', port: 4000, since: 1000 },
      process: { pid: 104_000, start: 100 },
    }),
  });
});

test('a login with a key that the state does not know is a session, too: it has no role, and will be judged', () => {
  expect(feed(opened(4000, 1))).toContainEqual({
    kind: 'accepted',
    session: expect.objectContaining({ account: 'web01', role: null, comment: '' }),
  });
});

test('however the lines of many connections are mixed, each connection has the same events', () => {
  const accounts = state(
    ...Array.from({ length: 4 }, (_, index) => account(`a${index}`, [keyOf(index), keyOf(index + 10)])),
  );
  const connection = fc.record({ owner: fc.nat(3), second: fc.boolean(), ends: fc.boolean(), fails: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(connection, { minLength: 2, maxLength: 12 }),
      fc.array(fc.nat(1000), { minLength: 120, maxLength: 120 }),
      (connections, choices) => {
        const streams = connections.map(({ owner, second, ends, fails }, index) => {
          const port = 4000 + index;
          if (fails) return stranger(port, `a${owner}`);
          return [
            ...opened(port, second ? owner + 10 : owner, `a${owner}`),
            ...(ends ? closed(port, `a${owner}`) : []),
          ];
        });
        const lines: string[] = [];
        for (let turn = 0; streams.some((each) => each.length > 0); turn += 1) {
          const left = streams.filter((each) => each.length > 0);
          lines.push(left[(choices[turn] ?? 0) % left.length]?.shift() ?? '');
        }
        const events = feed(lines, accounts);
        for (const [index, { owner, second, ends, fails }] of connections.entries()) {
          const port = 4000 + index;
          const own = events.filter(
            (event) =>
              (event.kind === 'refused' && event.refusal.port === port) ||
              ('session' in event && event.session.port === port),
          );
          expect(kinds(own)).toEqual(fails ? ['refused'] : ['accepted', 'opened', ...(ends ? ['leaving'] : [])]);
          for (const event of own) {
            if (event.kind === 'refused')
              expect(event.refusal).toMatchObject({ asked: `a${owner}`, fingerprints: [keyOf(9).fingerprint] });
            else if ('session' in event)
              expect(event.session).toMatchObject({
                account: `a${owner}`,
                comment: `key ${second ? owner + 10 : owner}`,
              });
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a client does not count as refused if other keys failed before the one that lets it in', () => {
  const [first = '', failed = ''] = stranger(4000, 'web01');
  const ledger = start(state(account('web01', [keyOf(1)])));
  const events = [first, failed, ...opened(4000, 1).slice(1), ...closed(4000)].flatMap((line) => hear(ledger, line));
  expect(kinds(events)).toEqual(['accepted', 'opened', 'leaving']);
  expect(ledger.overdue(-1)).toEqual([]);
});

const WEB = state(account('web01', [keyOf(1), keyOf(2)]));
const ACCEPTED = opened(4000, 1)[3] ?? '';

test('a session is over when its process has ended: once, whatever sshd says', () => {
  const ledger = start(WEB);
  for (const line of [...opened(4000, 1), ...closed(4000)]) hear(ledger, line);
  expect(ledger.gone(() => true)).toEqual([]);
  expect(ledger.sessions()).toHaveLength(1);
  expect(ledger.gone(() => false)).toMatchObject([{ seen: true, how: 'disconnected', session: { account: 'web01' } }]);
  expect(ledger.gone(() => false)).toEqual([]);
  expect(closed(4000).flatMap((line) => hear(ledger, line))).toEqual([]);
});

test('two connections of one address and port, to two addresses of the server, are two sessions', () => {
  const ledger = start(WEB);
  for (const line of opened(4000, 1)) hear(ledger, line);
  const other = { ...writerOf(ACCEPTED), pid: 7 };
  expect(ledger.take(parseLogLine(opened(4000, 2)[3] ?? ''), other)).toMatchObject([{ kind: 'accepted' }]);
  ledger.take(parseLogLine(closed(4000)[1] ?? ''), { ...writerOf(closed(4000)[1] ?? ''), parent: 7 });
  expect(ledger.gone(({ pid }) => pid !== 7)).toMatchObject([
    { how: 'disconnected', session: { process: { pid: 7 } } },
  ]);
  expect(ledger.sessions()).toMatchObject([{ process: { pid: 104_000 } }]);
});

test('how a session ended may be said a moment after its process was gone', () => {
  let time = 0;
  const ledger = start(WEB, () => time);
  for (const line of [...opened(4000, 1), ...opened(4001, 2)]) hear(ledger, line);
  expect(ledger.gone(() => false)).toEqual([]);
  expect(ledger.sessions()).toEqual([]);
  for (const line of closed(4000)) hear(ledger, line);
  expect(ledger.gone(() => false)).toMatchObject([{ how: 'disconnected', session: { port: 4000 } }]);
  time += 500;
  expect(ledger.gone(() => false)).toMatchObject([{ how: null, session: { port: 4001 } }]);
});

test('while something that ran over a session goes on, the session is not over, but only for a moment', () => {
  let time = 0;
  const ledger = start(WEB, () => time);
  for (const line of [...opened(4000, 1), ...closed(4000)]) hear(ledger, line);
  const look = (isUsed: boolean) =>
    ledger.gone(
      () => false,
      () => true,
      () => isUsed,
    );
  expect([look(true), ledger.sessions()]).toEqual([[], []]);
  time += 499;
  expect(look(true)).toEqual([]);
  time += 1;
  expect(look(true)).toMatchObject([{ how: 'disconnected' }]);
  for (const line of [...opened(4001, 2), ...closed(4001)]) hear(ledger, line);
  expect(look(true)).toEqual([]);
  expect(look(false)).toMatchObject([{ how: 'disconnected' }]);
});

describe('a login that sshd tells of', () => {
  test('opens nothing before the kernel shows it', () => {
    const ledger = start(WEB);
    expect(kinds(hear(ledger, ACCEPTED))).toEqual(['accepted']);
    const connection = { pid: 104_000, start: 100, uid: null, below: [] };
    expect(ledger.look([connection])).toEqual([]);
    expect(ledger.look([{ ...connection, uid: 10_001 }])).toEqual([]);
    expect(ledger.unseen(-1)).toHaveLength(1);
    expect(kinds(ledger.look([{ ...connection, uid: 10_000 }]))).toEqual(['opened']);
    expect(ledger.look([{ ...connection, uid: 10_000 }])).toEqual([]);
    expect(ledger.unseen(-1)).toEqual([]);
  });

  test.each([
    ['as an account', { uid: 10_000 }],
    ['as sshd’s process for strangers', { uid: 105 }],
    ['by root elsewhere', { parent: 1 }],
  ])('contradicts the kernel where it is written %s', (_, more) => {
    const ledger = start(WEB);
    const events = ledger.take(parseLogLine(ACCEPTED), { ...writerOf(ACCEPTED), ...more });
    expect(events).toMatchObject([{ kind: 'contradicted', account: 'web01' }]);
    expect(ledger.sessions()).toEqual([]);
  });

  test('a second time with another key, or as another account, contradicts the first: nobody knows any more who it is', () => {
    for (const again of [opened(4000, 2)[3], opened(4000, 1, 'db01')[3]]) {
      const ledger = start(WEB);
      hear(ledger, ACCEPTED);
      const events = ledger.take(parseLogLine(again ?? ''), writerOf(ACCEPTED));
      expect(events).toMatchObject([{ kind: 'contradicted', session: { fingerprint: keyOf(1).fingerprint } }]);
      expect(ledger.sessions()).toMatchObject([{ account: 'web01', fingerprint: keyOf(1).fingerprint }]);
    }
  });

  test('is over already if its process is gone', () => {
    let time = 0;
    const ledger = start(WEB, () => time);
    ledger.take(parseLogLine(ACCEPTED), { ...writerOf(ACCEPTED), parent: 0, start: 0 });
    const look = () => ledger.gone(({ start }) => start === 100);
    expect(look()).toEqual([]);
    time += 500;
    expect(look()).toMatchObject([{ seen: false, how: null }]);
  });
});

describe('what a tenant’s process says', () => {
  const bye = closed(4000)[1] ?? '';

  test('of another connection ends nothing there', () => {
    const ledger = start(WEB);
    for (const line of [...opened(4000, 1), ...opened(4001, 2)]) hear(ledger, line);
    expect(ledger.take(parseLogLine(closed(4001)[1] ?? ''), writerOf(bye))).toMatchObject([
      { kind: 'leaving', session: { port: 4000 } },
    ]);
  });

  test('is recognised as its own even if the process, or its connection, has ended by then', () => {
    const ledger = start(WEB);
    for (const line of opened(4000, 1)) {
      const { text, ...writer } = { text: line, ...writerOf(line) };
      ledger.take(parseLogLine(text), line.startsWith('User child') ? writerOf(opened(4000, 1)[0] ?? '') : writer);
    }
    for (const parent of [0, 1]) {
      const adopted = { ...writerOf(bye), parent };
      expect(ledger.take(parseLogLine(bye), { ...adopted, pid: 7 })).toEqual([]);
      expect(ledger.take(parseLogLine(bye), adopted)).toMatchObject([{ kind: 'leaving' }]);
    }
  });

  test('counts for nothing if it runs as another account, and refuses nobody', () => {
    const ledger = start(WEB);
    for (const line of opened(4000, 1)) hear(ledger, line);
    expect(ledger.take(parseLogLine(bye), { ...writerOf(bye), uid: 10_001 })).toEqual([]);
    for (const line of [
      ...stranger(4000, 'web01'),
      'drop connection #1 from [192.0.2.7]:4000 on [192.0.2.1]:22 Maxstartups',
    ])
      expect(ledger.take(parseLogLine(line), writerOf(bye)).filter(({ kind }) => kind === 'refused')).toEqual([]);
  });
});

test('a hundred thousand strangers who neither log in nor leave fill no memory, and each is told once', () => {
  const ledger = start();
  const told = new Set<string>();
  let events = 0;
  const tell = (found: readonly LedgerEvent[]) => {
    for (const event of found) {
      events += 1;
      if (event.kind === 'refused') told.add(`${event.refusal.address} ${event.refusal.port}`);
    }
  };
  for (let n = 0; n < 100_000; n += 1) {
    const from = `10.0.${n >> 16}.${(n >> 8) & 255} port ${1024 + (n & 255)}`;
    tell(hear(ledger, `Invalid user u${n} from ${from}`));
  }
  expect(100_000 - events).toBeLessThanOrEqual(1000);
  tell(ledger.overdue(-1));
  expect(events).toBe(100_000);
  expect(told.size).toBe(100_000);
  expect(ledger.sessions()).toEqual([]);
});

test('the name that a stranger gives is made printable and short', () => {
  const [, failed = '', end = ''] = stranger(4000, `${'\u001b[2J'}${'x'.repeat(500)}`);
  const [event] = feed([failed, end]);
  expect(event).toMatchObject({ kind: 'refused' });
  if (event?.kind === 'refused') expect(event.refusal.asked).toMatch(/^\\u\{1b\}\[2Jx{60}…$/);
});
