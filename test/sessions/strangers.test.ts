import { describe, expect, it } from 'vitest';
import { createLedger } from '../../src/sessions/ledger.ts';
import { parseLogLine } from '../../src/sshd/log.ts';
import { hear, LISTENER, writerOf } from './hearing.ts';
import { account, keyOf, state } from './states.ts';

/** A ledger that gets lines and returns the refusals that follow from them. */
const listen = (accounts = state(account('web01', [keyOf(1)]))) => {
  let time = 0;
  const ledger = createLedger(
    () => accounts,
    ({ parent }) => parent === LISTENER.pid,
    () => 1_800_000_000_000,
    () => time,
  );
  const refusals = (events: ReturnType<typeof ledger.take>) =>
    events.flatMap((event) => (event.kind === 'refused' ? [event.refusal] : []));
  return {
    /** Hears the lines as those of one connection. */
    hearAs: (pid: number, ...lines: readonly string[]) =>
      lines.flatMap((line) => refusals(ledger.take(parseLogLine(line), { ...writerOf(line), pid }))),
    hear: (...lines: readonly string[]) => lines.flatMap((line) => refusals(hear(ledger, line))),
    overdue: (milliseconds: number) => refusals(ledger.overdue(milliseconds)),
    wait: (milliseconds: number) => {
      time += milliseconds;
    },
  };
};
const from = (port: number) => `127.0.0.1 port ${port}`;
const failed = (port: number, fingerprint: string) =>
  `Failed publickey for web01 from ${from(port)} ssh2: ED25519 SHA256:${fingerprint}`;

describe('a login that comes to nothing is told once, when it is over', () => {
  it('with the keys that were offered', () => {
    const { hear } = listen();
    expect(hear(failed(1, 'aa'), failed(2, 'zz'), failed(1, 'bb'))).toEqual([]);
    expect(hear(`Connection closed by authenticating user web01 ${from(1)} [preauth]`)).toEqual([
      {
        ...{ address: '127.0.0.1', port: 1, asked: 'web01', reason: 'failed' },
        fingerprints: ['SHA256:aa', 'SHA256:bb'],
      },
    ]);
  });

  it('not at all if one of the later keys opens', () => {
    const { hear } = listen();
    expect(
      hear(
        failed(1, 'aa'),
        `Accepted publickey for web01 from ${from(1)} ssh2: ED25519 ${keyOf(1).fingerprint}`,
        `Disconnected from user web01 ${from(1)}`,
        `Closing connection to ${from(1)}`,
      ),
    ).toEqual([]);
  });

  it('as unknown, even if its keys failed, too', () => {
    const { hear } = listen();
    const refused = hear(
      `Invalid user eve from ${from(1)}`,
      `Failed publickey for invalid user eve from ${from(1)} ssh2: ED25519 SHA256:aa`,
      `Connection closed by invalid user eve ${from(1)} [preauth]`,
    );
    expect(refused).toMatchObject([{ asked: 'eve', reason: 'unknown-user', fingerprints: ['SHA256:aa'] }]);
  });

  it('as not allowed, which sshd says without a port, even for several at once', () => {
    const { hear } = listen();
    const why = "User root from 127.0.0.1 not allowed because none of user's groups are listed in AllowGroups";
    const closing = [1, 2, 3].map((port) => `Connection closed by invalid user root ${from(port)} [preauth]`);
    expect(hear(why, why, ...closing).map(({ reason }) => reason)).toEqual(['not-allowed', 'not-allowed', 'gave-up']);
  });

  it('at once if sshd says no more', () => {
    const { hear } = listen();
    const refused = hear(
      `banner exchange: Connection from ${from(1)}: invalid format`,
      `Unable to negotiate with ${from(2)}: no matching cipher found. Their offer: aes128-cbc [preauth]`,
      'drop connection #1 from [127.0.0.1]:3 on [127.0.0.1]:22 past MaxStartups',
      'Timeout before authentication for connection from 127.0.0.1 to 127.0.0.1, pid = 237',
    );
    expect(refused.map(({ reason }) => reason)).toEqual(['not-ssh', 'nothing-in-common', 'dropped', 'login-timeout']);
  });

  it('not at all for a health check, which says nothing', () => {
    const { hear } = listen();
    expect(
      hear(
        `Connection from ${from(1)} on 127.0.0.1 port 22 rdomain ""`,
        'kex_exchange_identification: Connection closed by remote host',
        `Connection closed by ${from(1)}`,
        `Connection reset by ${from(2)}`,
      ),
    ).toEqual([]);
  });
});

describe('a login with the right key, but refused by its options, is told as that', () => {
  const lines = (why: string) => [
    why,
    `Failed publickey for web01 from ${from(1)} ssh2: ED25519 ${keyOf(1).fingerprint}`,
    `Connection closed by authenticating user web01 ${from(1)} [preauth]`,
  ];

  it.each([
    ['not-from', { from: '192.0.2.0/24' }],
    ['expired', { expiryTime: '20200101Z' }],
    ['key-options', { verifyRequired: true }],
  ] as const)('as %s', (reason, options) => {
    for (const why of ['Refused by key options', 'Refused by key options at /run/authorized_keys/web01:1']) {
      const { hearAs } = listen(state(account('web01', [keyOf(1, options)])));
      expect(hearAs(7, ...lines(why))).toMatchObject([{ reason, asked: 'web01' }]);
    }
  });

  it.each([
    ['not-from', { from: '192.0.2.0/24' }],
    ['expired', { expiryTime: '20200101Z' }],
  ] as const)('as %s, even if sshd says nothing about options', (reason, options) => {
    const { hearAs } = listen(state(account('web01', [keyOf(2), keyOf(1, options)])));
    expect(hearAs(7, ...lines('Postponed publickey'))).toMatchObject([{ reason, asked: 'web01' }]);
  });

  it('but not if the options let the key in, or if it is another key', () => {
    const allowing = keyOf(1, { from: '127.0.0.0/8', expiryTime: '20990101Z' });
    const { hearAs } = listen(state(account('web01', [allowing, keyOf(2, { from: '192.0.2.7' })])));
    expect(hearAs(7, ...lines('Postponed publickey'))).toMatchObject([{ reason: 'failed' }]);
  });

  it('and not if the options refused another connection', () => {
    const { hearAs } = listen();
    hearAs(8, 'Refused by key options');
    expect(hearAs(7, ...lines('Postponed publickey'))).toMatchObject([{ reason: 'failed' }]);
  });
});

it('an old client whose signature sshd no longer takes is not told as one that just went away', () => {
  const { hearAs } = listen();
  const line = 'userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]';
  const gone = (port: number) => `Connection closed by authenticating user web01 ${from(port)} [preauth]`;
  expect(hearAs(7, line, gone(1))).toMatchObject([{ reason: 'old-signature', asked: 'web01' }]);
  expect(hearAs(8, failed(2, 'aa'), line, gone(2))).toMatchObject([{ reason: 'old-signature' }]);
  expect(hearAs(9, `Invalid user eve from ${from(3)}`, line, gone(3))).toMatchObject([{ reason: 'unknown-user' }]);
  expect(hearAs(10, gone(4))).toMatchObject([{ reason: 'gave-up' }]);
  // Some connections never get a last line of their own.
  for (let process = 100; process < 1300; process += 1) hearAs(process, line);
  expect(hearAs(2000, line, gone(5))).toMatchObject([{ reason: 'old-signature' }]);
});

it('a key that opens other accounts than the one that was asked for names some of them', () => {
  const accounts = ['db', 'web02', 'web03', 'web04'].map((name) => account(name, [keyOf(1)]));
  const { hear } = listen(state(account('web01', [keyOf(2)]), ...accounts));
  const offer = (port: number, name: string, key: number) =>
    hear(
      `Failed publickey for ${name} from ${from(port)} ssh2: ED25519 ${keyOf(key).fingerprint}`,
      `Connection closed by authenticating user ${name} ${from(port)} [preauth]`,
    );
  expect(offer(1, 'web01', 1)).toMatchObject([{ opens: ['db', 'web02', 'web03'] }]);
  expect(offer(2, 'web02', 1)[0]).not.toHaveProperty('opens');
  expect(offer(3, 'web01', 9)[0]).not.toHaveProperty('opens');
  // This also holds for an account that is not among the few that are named.
  expect(offer(4, 'web04', 1)[0]).not.toHaveProperty('opens');
});

it('a name that was asked for is cut and cannot leave its line', () => {
  const { hear } = listen();
  const [refusal] = hear(`Connection closed by invalid user ${'x\u001b\u202e'.repeat(9999)} ${from(1)} [preauth]`);
  expect(refusal?.asked?.length).toBeLessThan(64 * 8);
  expect(refusal?.asked).toMatch(/^[\x20-\x7e…]*$/);
});

it('strangers who neither log in nor leave are told early, the oldest first, and fill no memory', () => {
  const { hear, overdue, wait } = listen();
  const told = Array.from({ length: 5000 }, (_, port) => hear(failed(port, 'aa'))).flat();
  expect(told.map(({ port }) => port)).toEqual(Array.from({ length: 4000 }, (_, port) => port));
  wait(90_000);
  hear(failed(5000, 'aa'));
  expect(overdue(60_000)).toHaveLength(999);
  expect(overdue(60_000)).toEqual([]);
});

it('one stranger who tries a thousand keys is one refusal with a few of them', () => {
  const { hear } = listen();
  for (let key = 0; key < 1000; key += 1) hear(failed(1, `k${key}`));
  const [refusal] = hear(`Connection closed by authenticating user web01 ${from(1)} [preauth]`);
  expect(refusal?.fingerprints).toHaveLength(5);
});
