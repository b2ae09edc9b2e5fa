import { describe, expect, test } from 'vitest';
import { renderOptions } from '../../src/accounts/authorized-key-line.ts';
import { readExpiryTime } from '../../src/accounts/expiry-time.ts';
import { parseOptions } from '../../src/keys/options.ts';

const code = (text: string): string => {
  const verdict = parseOptions(text);
  return verdict.ok ? renderOptions(verdict.options) : verdict.code;
};

describe('options before a key', () => {
  test('that narrow are kept and written anew, in one order', () => {
    expect(code('VERIFY-REQUIRED,From="10.0.0.0/8,!10.0.0.1",expiry-time="20300101"')).toBe(
      'restrict,from="10.0.0.0/8,!10.0.0.1",expiry-time="20300101",verify-required',
    );
  });

  test('that restrict implies are dropped', () => {
    expect(code('restrict,no-pty,no-X11-forwarding,no-agent-forwarding,no-port-forwarding,no-user-rc')).toBe(
      'restrict',
    );
  });

  test.each([
    'command="borg serve"',
    'environment="A=B"',
    'pty',
    'port-forwarding',
    'cert-authority',
    'principals="a"',
    'permitopen="*:*"',
    'tunnel="0"',
    'no-touch-required',
    'no-verify-required',
    'constructor',
    '__proto__',
  ])('%s are forbidden', (option) => {
    expect(code(`restrict,${option}`)).toBe('forbidden-option');
  });

  test('name the forbidden one and nothing more', () => {
    expect(parseOptions('from="10.0.0.1",Command="secret"')).toMatchObject({
      found: "the option 'Command', which is not allowed here",
    });
    expect(parseOptions('\u001b[2J')).toMatchObject({ found: 'something before the key that is not an option' });
  });

  test.each([
    'from=10.0.0.1',
    'from',
    'from="10.0.0.1',
    'from="10.0.0.1"x',
    'from=""',
    'from="10.0.0.1",from="10.0.0.2"',
    'expiry-time="20300101",expiry-time="20300101"',
    'verify-required="yes"',
    'no-pty=1',
    'verify-required,',
    ',verify-required',
    'verify-required,,no-pty',
  ])('%s are malformed', (text) => {
    expect(code(text)).toBe('malformed-option');
  });
});

describe('from=', () => {
  test.each([
    '10.0.0.1',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '192.168.1.*',
    '!10.0.0.1,10.0.0.0/24',
    '::1',
    '2001:db8::/32',
    '::ffff:10.0.0.0/104',
    '*.example.org',
    'fe80::/10',
    '::/0',
  ])('takes %s', (list) => {
    expect(code(`from="${list}"`)).toBe(`restrict,from="${list}"`);
  });

  test.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    '2001:db8::1/32',
    '::1/129',
    'host/24',
    '10.0.0.0/8/8',
    '10.0.0.1,',
    '!',
    'a b',
    'a\\"b',
    'a\nb',
    'ü',
    '*1*1*1*1*1*1*1*1*1',
    'a'.repeat(300),
    '10.0.0.1,'.repeat(2000),
  ])('refuses %j', (list) => {
    expect(code(`from="${list}"`)).toBe('malformed-option');
  });
});

describe('expiry-time=', () => {
  test('takes the three forms that sshd does, with and without Z', () => {
    expect(readExpiryTime('20280229Z')?.toISOString()).toBe('2028-02-29T00:00:00.000Z');
    expect(readExpiryTime('203001022359Z')?.toISOString()).toBe('2030-01-02T23:59:00.000Z');
    expect(readExpiryTime('20300102235958Z')?.toISOString()).toBe('2030-01-02T23:59:58.000Z');
    expect(readExpiryTime('20300102')).toEqual(new Date(2030, 0, 2));
  });

  test.each([
    '20270229',
    '20301301',
    '20300001',
    '20300100',
    '203001012400',
    '20300101126060',
    '19700101',
    '2030',
    '2030-01-01',
    '+1d',
    'always',
    '20300101z',
  ])('refuses %s', (text) => {
    expect(code(`expiry-time="${text}"`)).toBe('malformed-option');
  });
});
