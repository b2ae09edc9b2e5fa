import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLedger, type LedgerEvent } from '../../src/sessions/ledger.ts';
import { parseLogLine } from '../../src/sshd/log.ts';
import { account, keyOf, state } from './states.ts';

const recorded = (version: string): string[] =>
  readFileSync(join(import.meta.dirname, `../sshd/recorded/openssh-${version}.log`), 'utf8')
    .trim()
    .split('\n');

const feed = (lines: readonly string[], accounts = state()): readonly LedgerEvent[] => {
  const ledger = createLedger(
    () => accounts,
    () => 1000,
  );
  return lines.flatMap((line) => ledger.take(parseLogLine(line)));
};
const kinds = (events: readonly LedgerEvent[]) => events.map(({ kind }) => kind);

const opened = (port: number, key: number, name = 'web01') => [
  `Connection from 192.0.2.7 port ${port} on 192.0.2.1 port 22 rdomain ""`,
  `Accepted key ED25519 ${keyOf(key).fingerprint} found at /run/borgserver/authorized_keys/${name}:1`,
  `Postponed publickey for ${name} from 192.0.2.7 port ${port} ssh2 [preauth]`,
  `Accepted publickey for ${name} from 192.0.2.7 port ${port} ssh2: ED25519 ${keyOf(key).fingerprint}`,
  `User child is on pid ${port}`,
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
  const events = feed(recorded(version));

  test('open a session for each login', () => {
    const logins = recorded(version).filter((line) => line.startsWith('Accepted publickey')).length;
    expect(logins).toBeGreaterThan(0);
    expect(kinds(events).filter((kind) => kind === 'opened')).toHaveLength(logins);
  });

  test('close what was opened, each once, and nothing that was not', () => {
    const open = new Set<string>();
    for (const event of events) {
      if (event.kind === 'opened') open.add(event.session.peer);
      if (event.kind === 'closed') expect(open.delete(event.session.peer)).toBe(true);
    }
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
  expect(feed(opened(4000, 2), accounts)).toContainEqual({
    kind: 'opened',
    session: expect.objectContaining({
      ...{ account: 'web01', role: 'append-only', uid: 10_007, fingerprint: keyOf(2).fingerprint, comment: 'key 2' },
      ...{ file: '/sshkeys/repos/some', line: 2, address: '192.0.2.7', port: 4000, since: 1000 },
    }),
  });
});

test('a key that the state does not know is a session all the same, without a role', () => {
  expect(feed(opened(4000, 1))).toContainEqual({
    kind: 'opened',
    session: expect.objectContaining({ account: 'web01', role: null, comment: '' }),
  });
});

test('however the lines of many connections are interleaved, each tells the same of its own', () => {
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
              ((event.kind === 'opened' || event.kind === 'closed') && event.session.port === port),
          );
          expect(kinds(own)).toEqual(fails ? ['refused'] : ['opened', ...(ends ? ['closed'] : [])]);
          for (const event of own) {
            if (event.kind === 'refused')
              expect(event.refusal).toMatchObject({ asked: `a${owner}`, fingerprints: [keyOf(9).fingerprint] });
            else if (event.kind !== 'user-child')
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

test('a client that tries keys that fail before the one that lets it in was not refused', () => {
  const [first = '', failed = ''] = stranger(4000, 'web01');
  const events = feed([first, failed, ...opened(4000, 1).slice(1), ...closed(4000)]);
  expect(kinds(events)).toEqual(['opened', 'user-child', 'closed']);
  const ledger = createLedger(
    () => state(),
    () => 0,
  );
  for (const line of [first, failed, ...opened(4000, 1)]) ledger.take(parseLogLine(line));
  expect(ledger.overdue(-1)).toEqual([]);
});

test('an address and port that is used again closes the session of which nothing more was heard', () => {
  const events = feed([...opened(4000, 1), ...opened(4000, 2)], state(account('web01', [keyOf(1), keyOf(2)])));
  const told = events.filter(({ kind }) => kind !== 'user-child');
  expect(kinds(told)).toEqual(['opened', 'closed', 'opened']);
  expect(told[1]).toMatchObject({ how: 'replaced', session: { fingerprint: keyOf(1).fingerprint } });
});

test('the end of a session that was noticed already is no refused login', () => {
  const ledger = createLedger(
    () => state(),
    () => 0,
  );
  for (const line of opened(4000, 1)) ledger.take(parseLogLine(line));
  ledger.forget('192.0.2.7|4000');
  expect(closed(4000).flatMap((line) => ledger.take(parseLogLine(line)))).toEqual([]);
});

test('a hundred thousand strangers who never come to an end fill no memory, and each is told once', () => {
  const ledger = createLedger(
    () => state(),
    () => 0,
  );
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
    tell(ledger.take(parseLogLine(`Invalid user u${n} from ${from}`)));
  }
  expect(100_000 - events).toBeLessThanOrEqual(1000);
  tell(ledger.overdue(-1));
  expect(events).toBe(100_000);
  expect(told.size).toBe(100_000);
  expect(ledger.sessions()).toEqual([]);
});

test('what a stranger is called is printable and short', () => {
  const [, failed = '', end = ''] = stranger(4000, `${'\u001b[2J'}${'x'.repeat(500)}`);
  const [event] = feed([failed, end]);
  expect(event).toMatchObject({ kind: 'refused' });
  if (event?.kind === 'refused') expect(event.refusal.asked).toMatch(/^\\u\{1b\}\[2Jx{60}…$/);
});
