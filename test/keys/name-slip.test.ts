import { expect, test } from 'vitest';
import type { AccountName } from '../../src/accounts/name.ts';
import { slipOf } from '../../src/keys/name-slip.ts';
import { nameOf } from '../../src/keys/tree.ts';

const meant = (entry: string): string | null | undefined => slipOf(nameOf(entry) as AccountName)?.meant;

test.each([
  ['web06.txt', 'web06'],
  ['web06.TXT', 'web06'],
  ['web07.PUB', 'web07'],
  ['web07.Pub.pub', 'web07'],
  ['web05.pub.pub', 'web05'],
  ['web05.pub.txt', 'web05'],
  ['web05.pub.bak', 'web05'],
  ['web05.txt.pub', 'web05'],
  ['db.example.org.old', 'db.example.org'],
  ['web01.dpkg-old', 'web01'],
  ['web01.ppk', 'web01'],
  ['host.example.org.', 'host.example.org'],
  ['host.example.org..pub', 'host.example.org'],
  ['host..example.org', 'host.example.org'],
  ['id_ed25519.pub', null],
  ['id_rsa', null],
  ['id_ed25519_sk.pub', null],
  ['id_ed25519_web01.pub', null],
  ['identity.pub', null],
  ['authorized_keys', null],
  ['authorized_keys2', null],
  ['authorized_keys.txt', null],
  ['known_hosts', null],
  ['ssh_host_ed25519_key.pub', null],
])('%s is hardly what the operator meant', (entry, name) => {
  expect(meant(entry)).toBe(name);
});

test.each([
  ...[
    'web01',
    'web01.pub',
    'db.example.org',
    'db.example.org.pub',
    'www.pub.example',
    'example.pub.org',
    'Web01',
    'id',
  ],
  ...[
    'key',
    'txt',
    'old.example.org',
    'nas.home.arpa',
    'a.md',
    'a.zip',
    'a.dev',
    'a.app',
    'idefix_rsa',
    'web_01-b',
    'x',
  ],
])('%s may well be what the operator meant', (entry) => {
  expect(meant(entry)).toBeUndefined();
});
