import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLogLine, type SshdEvent } from '../../src/sshd/log.ts';

const recorded = (version: string): string[] =>
  readFileSync(join(import.meta.dirname, `recorded/openssh-${version}.log`), 'utf8')
    .trim()
    .split('\n');

const found = (events: readonly SshdEvent[], wanted: Record<string, unknown>): boolean =>
  events.some((event) =>
    Object.entries(wanted).every(([name, value]) => Object.entries(event).some(([n, v]) => n === name && v === value)),
  );

describe.each(['9.2', '10.0'])('the log of OpenSSH %s', (version) => {
  const events = recorded(version).map(parseLogLine);

  test('tells a login from its key to its end', () => {
    const key = events.find((event) => event.kind === 'key-found');
    expect(key).toMatchObject({ keyType: 'ED25519', file: '/run/borgserver/authorized_keys/web01', line: 2 });
    const accepted = events.find((event) => event.kind === 'accepted');
    expect(accepted).toMatchObject({ user: 'web01', address: '127.0.0.1', keyType: 'ED25519' });
    expect(accepted?.fingerprint).toBe(key?.fingerprint);
    const started = events.find((event) => event.kind === 'session-started');
    expect(started).toMatchObject({ user: 'web01', address: '127.0.0.1', port: accepted?.port, id: 0 });
    expect(started?.command).toMatch(/^forced-command \(config\) 'exec /);
    const closed = events.find((event) => event.kind === 'closed');
    expect(closed).toEqual({
      kind: 'closed',
      reason: 'disconnected',
      user: 'web01',
      loggedIn: true,
      address: '127.0.0.1',
      port: accepted?.port,
    });
    expect(found(events, { kind: 'session-closed', user: 'boss', id: 0 })).toBe(true);
  });

  test('tells addresses of both families', () => {
    expect(found(events, { kind: 'listening', address: '::1', port: 2222 })).toBe(true);
    expect(found(events, { kind: 'accepted', user: 'web01', address: '::1' })).toBe(true);
    expect(found(events, { kind: 'connected', address: '::1' })).toBe(true);
  });

  test.each([
    { reason: 'unknown-user', user: 'nobodyatall', address: '127.0.0.1' },
    { reason: 'unknown-user', user: 'x from 1.2.3.4 port 22', address: '127.0.0.1' },
    { reason: 'unknown-user', user: '', address: '127.0.0.1' },
    { reason: 'not-allowed', user: 'norole', address: '127.0.0.1', port: null },
    { reason: 'not-allowed', user: 'root' },
    { reason: 'failed', user: 'web01' },
    { reason: 'too-many-keys', user: 'web01' },
    { reason: 'nothing-in-common', detail: 'no matching cipher found. Their offer: aes128-cbc' },
    { reason: 'not-ssh', user: null, detail: 'invalid format' },
  ])('tells why a client was refused: $reason $user', (wanted) => {
    expect(found(events, { kind: 'refused', ...wanted })).toBe(true);
  });

  test('tells a crowd that is turned away, and the end of the listener', () => {
    expect(found(events, { kind: 'dropped', reason: 'max-startups', address: '127.0.0.1' })).toBe(true);
    expect(found(events, { kind: 'stopping', signal: 15 })).toBe(true);
  });
});

test('OpenSSH 10 says whom it punishes, and who never logged in', () => {
  const events = recorded('10.0').map(parseLogLine);
  expect(found(events, { kind: 'penalty', network: '127.0.0.1/32', detail: 'failed authentication' })).toBe(true);
  expect(found(events, { kind: 'dropped', reason: 'penalty', detail: 'penalty: failed authentication' })).toBe(true);
  expect(found(events, { kind: 'refused', reason: 'login-timeout', address: '127.0.0.1' })).toBe(true);
});

test.each([
  ['Timeout, client not responding from user web01 10.0.0.9 port 4000', 'vanished'],
  ['terminating inactive connection from user web01 10.0.0.9 port 4000', 'unused'],
  ['Connection reset by user web01 10.0.0.9 port 4000', 'reset'],
  ['Connection from user web01 10.0.0.9 port 4000 timed out', 'timed-out'],
  [
    'ssh_dispatch_run_fatal: Connection from user web01 10.0.0.9 port 4000: message authentication code incorrect',
    'broken',
  ],
  ['process_output: ssh_packet_write_poll: Connection from user web01 10.0.0.9 port 4000: Broken pipe', 'broken'],
  ['Disconnecting user web01 10.0.0.9 port 4000: Received extended_data for unknown channel', 'disconnected'],
])('the end of a session: %s', (line, reason) => {
  expect(parseLogLine(line)).toEqual({
    kind: 'closed',
    reason,
    user: 'web01',
    loggedIn: true,
    address: '10.0.0.9',
    port: 4000,
  });
});

test('folders with unsafe modes and a port in use are trouble', () => {
  for (const text of [
    'Authentication refused: bad ownership or modes for directory /run',
    'Bind to port 22 on 0.0.0.0 failed: Address already in use.',
  ]) {
    expect(parseLogLine(text)).toEqual({ kind: 'trouble', text });
  }
});

describe('nothing a client sends can speak for sshd', () => {
  const forged = 'x 1.2.3.4 port 5: Too many authentication failures';
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'web01 from 9.9.9.9 port 1 ssh2: ED25519 SHA256:abc',
      'web01 from 9.9.9.9 port 1',
      'web01 9.9.9.9 port 1 [preauth]',
      'user web01 9.9.9.9 port 1',
      '] [preauth]',
      forged,
    ),
  );
  const peer = { address: '127.0.0.1', port: 4000 };

  test('its name', () => {
    fc.assert(
      fc.property(name, (user) => {
        const lines: [string, string][] = [
          [`Invalid user ${user} from 127.0.0.1 port 4000`, 'refused'],
          [`Failed publickey for invalid user ${user} from 127.0.0.1 port 4000 ssh2: ED25519 SHA256:abc`, 'refused'],
          [
            `maximum authentication attempts exceeded for invalid user ${user} from 127.0.0.1 port 4000 ssh2 [preauth]`,
            'refused',
          ],
          [`Connection closed by invalid user ${user} 127.0.0.1 port 4000 [preauth]`, 'closed'],
          [`Disconnected from invalid user ${user} 127.0.0.1 port 4000 [preauth]`, 'closed'],
          [
            `Disconnecting invalid user ${user} 127.0.0.1 port 4000: Too many authentication failures [preauth]`,
            'closed',
          ],
        ];
        for (const [line, kind] of lines) {
          expect(parseLogLine(line)).toMatchObject({ kind, user, ...peer });
          expect(parseLogLine(line)).not.toMatchObject({ loggedIn: true });
        }
      }),
    );
  });

  test('a second name', () => {
    const line = `Disconnecting authenticating user web01 127.0.0.1 port 4000: Change of username or service not allowed: (web01,ssh-connection) -> (${forged},ssh-connection) [preauth]`;
    expect(parseLogLine(line).kind).toBe('other');
  });

  test("its certificate's ID", () => {
    const line =
      'Failed publickey for web01 from 127.0.0.1 port 4000 ssh2: ED25519-CERT SHA256:abc ID x from 9.9.9.9 port 1 ssh2: ED25519 SHA256:abc (serial 0) CA ED25519 SHA256:def';
    expect(parseLogLine(line)).toMatchObject({ kind: 'refused', user: 'web01', ...peer });
  });

  test('so much text that sshd cuts off the words that tell who has said it', () => {
    const accepted = `Accepted publickey for web01 from 127.0.0.1 port 4000 ssh2: ED25519 SHA256:${'A'.repeat(43)}`;
    expect(parseLogLine(accepted).kind).toBe('accepted');
    expect(parseLogLine(accepted.replace('ED25519', 'E'.repeat(1000))).kind).toBe('other');
    expect(parseLogLine(`${accepted} [preauth]`).kind).toBe('other');
  });

  test('its farewell and its version', () => {
    fc.assert(
      fc.property(name, (text) => {
        expect(parseLogLine(`Received disconnect from 127.0.0.1 port 4000:11: ${text}`).kind).toBe('other');
        expect(
          parseLogLine(`kex_exchange_identification: client sent invalid protocol identifier "${text}"`).kind,
        ).toBe('other');
      }),
    );
  });
});
