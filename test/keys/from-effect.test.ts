import { describe, expect, test } from 'vitest';
import { mayMatchAddress } from '../../src/keys/address-pattern.ts';
import { effectOfFrom } from '../../src/keys/from-effect.ts';
import { faultOfFrom } from '../../src/keys/from-patterns.ts';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { fromAllows } from '../../src/sessions/from-allows.ts';
import { costOf } from '../cost.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, skEd25519 } = SAMPLE_KEYS;
const read = (line: string) => parseKeyFile(Buffer.from(`${line}\n`), '/sshkeys/repos/web01');
const idle = (list: string) => effectOfFrom(list).idle.map(({ pattern }) => pattern);

describe('a pattern of from=', () => {
  test.each(['client.example.org', '*.lan', '*.example.org', 'localhost', '10.0.0.300', '10.0.0.*.*', '192.168.300.*'])(
    '%s never matches',
    (pattern) => {
      expect(faultOfFrom(pattern)).toBeNull();
      expect(effectOfFrom(pattern)).toMatchObject({ nobody: true, idle: [{ pattern }] });
    },
  );

  test.each([
    '10..*',
    '1.2.3.4.?',
    '2001:0db8:*',
    '1:2:3:4:5:6:7:8:*:9',
    '0.0.0.0',
    '::ffff:192.0.2.7',
    'fe80::1:lan*',
  ])('%s looks like an address, but never matches either', (pattern) => {
    expect(effectOfFrom(pattern).nobody).toBe(true);
  });

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.*', '192.0.2.255'],
    ['192.0.2*', '192.0.255.1'],
    ['*.2.7', '192.0.2.7'],
    ['1?2.*.7', '192.0.2.7'],
    ['???.0.2.7', '192.0.2.7'],
    ['*', '192.0.2.7'],
    ['*?', '192.0.2.7'],
    ['127.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['2001:DB8:*', '2001:db8::1'],
    ['*::1', '2001:db8::1'],
    ['::?', '::1'],
    ['1:2:3:4:5:6:7:*', '1:2:3:4:5:6:7:8'],
    ['*:ff', '1:2:3:4:5:6:0:ff'],
    ['fe80::1*eth0', 'fe80::1%eth0'],
    ['10.0.0.0/8', '10.1.2.3'],
    ['::/0', '2001:db8::1'],
  ])('%s stands for %s', (pattern, address) => {
    expect(fromAllows(pattern, address)).toBe(true);
    expect(effectOfFrom(pattern)).toEqual({ nobody: false, idle: [] });
  });

  test('that an address matches is never called idle', () => {
    const addresses = [
      '0.0.0.1',
      '9.99.199.249',
      '255.250.205.100',
      '::1',
      '1::',
      '2001:db8::a0:0:1',
      '1:2:3:4:5:6:7:8',
      'fe80::1:0:0:f',
    ];
    const wrong = addresses.flatMap((address) =>
      Array.from({ length: address.length }, (_, at) => [
        `${address.slice(0, at)}*`,
        `*${address.slice(at)}`,
        `${address.slice(0, at)}?${address.slice(at + 1)}`,
        `${address.slice(0, at)}*${address.slice(Math.min(address.length, at + 3))}`,
      ])
        .flat()
        .filter((pattern) => !mayMatchAddress(pattern)),
    );
    expect(wrong).toEqual([]);
  });

  test('costs little, however it is written', () => {
    const of = (pattern: (index: number) => string): string =>
      Array.from({ length: 128 }, (_, each) => pattern(each)).join(',');
    const addresses = of((index) => `10.0.0.${index}`);
    const wild = of((index) => `${'*?1?'.repeat(8)}${'?'.repeat(26)}${index}`);
    const cost = (list: string, times: number): number =>
      costOf(() => {
        for (let left = times; left > 0; left -= 1) effectOfFrom(list);
      });
    // The first time fills the tables of the automaton.
    for (const list of [addresses, wild]) cost(list, 1);
    // About as much is usual. Without the tables it is twenty times as much.
    expect(cost(wild, 1)).toBeLessThan(10 * Math.max(1, cost(addresses, 100)));
  });
});

describe('a list of them', () => {
  test('names each that does nothing, and leaves the others', () => {
    expect(effectOfFrom('10.0.0.0/8,*.lan')).toMatchObject({ nobody: false });
    expect(idle('10.0.0.0/8,*.lan,client')).toEqual(['*.lan', 'client']);
    expect(idle('*,!client.example.org')).toEqual(['!client.example.org']);
    expect(idle('10.0.0.5,!10.0.0.0/8,192.0.2.7')).toEqual(['10.0.0.5']);
    expect(idle('*,!10.0.0.0/8,10.0.0.0/7')).toEqual([]);
  });

  test.each([
    '!192.0.2.7',
    '*,!*',
    '10.0.0.0/8,!10.0.0.0/9,!10.128.0.0/9',
    '192.0.2.7,!192.0.2.*',
    '*,!0.0.0.0/0,!::/0',
    '1?.*,!1?.*',
  ])('%s lets nobody in', (list) => {
    expect(effectOfFrom(list).nobody).toBe(true);
  });

  test.each(['*,!0.0.0.0/0', '10.0.0.0/8,!10.0.0.0/9', '1?.*,!10.*', '*,!fe80::*eth0'])(
    '%s leaves somebody',
    (list) => {
      expect(effectOfFrom(list)).toEqual({ nobody: false, idle: [] });
    },
  );
});

describe('a key with an option that does nothing', () => {
  test('stays, with a warning for each pattern', () => {
    expect(read(`from="10.0.0.0/8,*.lan,client.example.org" ${ed25519}`)).toMatchObject({
      keys: [{ line: 1 }],
      findings: [
        { severity: 'warning', code: 'option-without-effect', line: 1, message: expect.stringContaining("'*.lan'") },
        {
          severity: 'warning',
          code: 'option-without-effect',
          message: expect.stringMatching(/client\.example\.org.*name/),
        },
      ],
    });
  });

  test('that keeps everybody out is an error', () => {
    expect(read(`from="client.example.org,*.lan" ${ed25519}`).findings).toMatchObject([
      {
        severity: 'error',
        code: 'option-without-effect',
        line: 1,
        message: expect.stringMatching(/nobody can log in.*name/),
      },
    ]);
  });

  test('may have verify-required although no FIDO token has the key', () => {
    expect(read(`verify-required ${ed25519}`)).toMatchObject({
      keys: [{}],
      findings: [{ severity: 'warning', code: 'option-without-effect', message: expect.stringContaining('FIDO') }],
    });
    expect(read(`verify-required ${skEd25519}`).findings).toEqual([]);
  });
});
