import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { faultOfFrom } from '../../src/keys/from-patterns.ts';
import { fromAllows } from '../../src/sessions/from-allows.ts';
import { effectiveOptions } from '../../src/sshd/effective.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'from-'));
  mkdirSync('/run/sshd', { recursive: true });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the installed sshd says: Match Address and from= ask the same function (addr_match_list). */
const sshdAllows = (list: string, address: string): boolean => {
  const config = join(folder, 'config');
  writeFileSync(config, `HostKey ${join(folder, 'host')}\nMatch Address ${list}\n  ForceCommand matched\n`);
  const connection = `user=root,host=${address},addr=${address}`;
  const told = execFileSync('/usr/sbin/sshd', ['-T', '-f', config, '-C', connection], { encoding: 'utf8' });
  return effectiveOptions(told).get('forcecommand') === 'matched';
};

test.each([
  ['192.0.2.7', '192.0.2.7', true],
  ['192.0.2.7', '192.0.2.70', false],
  ['192.0.2.*', '192.0.2.70', true],
  ['192.0.2.?', '192.0.2.70', false],
  ['192.0.2.??', '192.0.2.70', true],
  ['*', '2001:db8::1', true],
  ['192.0.2.0/24', '192.0.2.255', true],
  ['192.0.2.0/25', '192.0.2.128', false],
  ['192.0.2.7/32', '192.0.2.7', true],
  ['0.0.0.0/0', '192.0.2.1', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::/0', '192.0.2.1', false],
  ['::/0', '2001:db8::1', true],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/33', '2001:db8:ffff::1', false],
  ['2001:DB8::1', '2001:db8::1', true],
  ['2001:0db8:0:0::0001', '2001:db8::1', true],
  ['!2001:0db8:0:0::0001,*', '2001:db8::1', false],
  ['2001:db8:*', '2001:db8::1', true],
  ['::1', '127.0.0.1', false],
  ['127.0.0.1', '::1', false],
  ['127.0.0.1,::1', '::1', true],
  ['*,!192.0.2.7', '192.0.2.7', false],
  ['!192.0.2.7,*', '192.0.2.7', false],
  ['!192.0.2.7', '192.0.2.8', false],
  ['192.0.2.0/24,!192.0.2.128/25', '192.0.2.200', false],
  ['192.0.2.0/24,!192.0.2.128/25', '192.0.2.100', true],
  ['!192.0.2.*,192.0.2.7', '192.0.2.7', false],
  ['192X0X2X7', '192.0.2.7', false],
  ['127.1', '127.0.0.1', true],
  ['2130706433', '127.0.0.1', true],
  ['0x7f.0.0.1', '127.0.0.1', true],
  ['010.0.0.1', '8.0.0.1', true],
  ['010.0.0.1', '10.0.0.1', false],
  ['4294967295', '255.255.255.255', true],
  ['4294967296', '0.0.0.0', false],
  ['127.256', '127.0.1.0', true],
  ['127.0.256', '127.0.1.0', true],
  ['!127.1,*', '127.0.0.1', false],
  ['::ffff:192.0.2.7', '192.0.2.7', false],
])('from="%s" and %s: %s, as sshd says', (list, address, allowed) => {
  expect(faultOfFrom(list)).toBeNull();
  expect({ sshd: sshdAllows(list, address), ours: fromAllows(list, address) }).toEqual({
    sshd: allowed,
    ours: allowed,
  });
});
