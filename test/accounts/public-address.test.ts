import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPort, readPublicHost } from '../../src/accounts/public-address.ts';

describe('the public address', () => {
  test.each([
    ['backup.example.org', 'backup.example.org'],
    ['Backup.Example.ORG', 'backup.example.org'],
    ['nas', 'nas'],
    ['my_nas', 'my_nas'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['[::1]', '::1'],
  ])('%s is %s', (text, host) => expect(readPublicHost(text)).toEqual({ host }));

  test.each([
    '',
    '-oProxyCommand=id',
    'a b',
    'user@host',
    'host:2222',
    'ssh://host',
    'host/..',
    '$(id)',
    '`id`',
    "h'",
    'h"',
    'h;id',
    'h\nHost *',
    'näs',
    '1.2.3',
    '256.1.1.1',
    'host.1',
    '2001:db8::1::2',
    '::ffff:192.0.2.1',
    'fe80::1%eth0',
    'a..b',
    'a-.b',
    `${'a'.repeat(64)}.org`,
    '*',
    '%h',
  ])('%j is refused', (text) => expect(readPublicHost(text)).toHaveProperty('problem'));

  test('whatever is given, what is taken is a word that no shell, URL, YAML, Nix or ssh reads as more', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab1.:-_[]%$ \'"`\n@/*\\{') }), (text) => {
        const read = readPublicHost(text);
        if ('host' in read) expect(read.host).toMatch(/^[a-z0-9_:][a-z0-9_.:-]*$/);
      }),
    );
  });

  test('a port is plain digits from 1 to 65535', () => {
    expect(['22', '65535'].map(readPort)).toEqual([22, 65_535]);
    expect(['', '0', '65536', '022', '2222-2230', ' 22', '1e3', '-1'].map(readPort)).toEqual(Array(8).fill(null));
  });
});
