import { expect, test } from 'vitest';
import { leftoverName } from '../../src/accounts/leftover-name.ts';

test.each([
  ...[
    'disabled',
    'disable',
    'off',
    'tmp',
    'rpmsave',
    'rpmnew',
    'rpmorig',
    'dpkg-old',
    'dpkg-dist',
    'dpkg-new',
    'dpkg-tmp',
    'ucf-dist',
    'filepart',
  ],
  ...[
    'rej',
    'tmp.1234',
    'DISABLED',
    'rpmsave_2',
    'sync-conflict-20260101-120000-ABCDEFG',
    'sync-conflict-20260101-120000',
  ],
])('web01.%s is surely a leftover of web01', (end) => {
  expect(leftoverName(`web01.${end}`)).toEqual({ of: ['web01'], surely: true });
  expect(leftoverName(`web01.pub.${end}`)).toEqual({ of: ['web01'], surely: true });
});

test.each(['bak', 'old', 'orig', 'save', 'backup', 'copy', 'BAK', 'bak1', 'bak.2', 'old-20260101', 'save.1', 'orig_2'])(
  'web01.%s may be a leftover of web01',
  (end) => {
    expect(leftoverName(`web01.${end}`)).toEqual({ of: ['web01'], surely: false });
    expect(leftoverName(`db.example.org.${end}`)).toEqual({ of: ['db.example.org'], surely: false });
  },
);

test.each([
  ['web01.example.sync-conflict-20260101-120000-ABCDEFG.org', ['web01.example.org'], true],
  ['web01.old.bak', ['web01.old', 'web01'], false],
  ['web01.disabled.bak', ['web01.disabled', 'web01'], true],
  ['web01.pub-old', ['web01'], false],
  ['web01.pub_disabled', ['web01'], true],
  ['web01-disabled', ['web01'], true],
  ['web01_DISABLED', ['web01'], true],
  ['web01.disabled.txt', ['web01'], true],
  ['web01.bak.txt', ['web01'], false],
  ['web01.bak.txt.old', ['web01.bak.txt', 'web01'], false],
  [`web01${'.bak'.repeat(12)}`, Array.from({ length: 12 }, (_, less) => `web01${'.bak'.repeat(11 - less)}`), false],
])('%s is a leftover of %j', (name, of, surely) => {
  expect(leftoverName(name)).toEqual({ of, surely });
});

test.each([
  ...[
    'web01',
    'web01.pub',
    'web01.pub.pub',
    'old',
    'bak',
    'old.example.org',
    'disabled.example.org',
    'web01-old',
    'web01_bak',
    'web01.1',
  ],
  ...[
    'web01.new',
    'web01.2026-01-01',
    'web01.backups',
    'web01.oldest',
    'threefold',
    'web01.txt',
    'web01.sync-conflict',
    'sync-conflict-1',
  ],
])('%s is no leftover', (name) => {
  expect(leftoverName(name)).toBeNull();
});
