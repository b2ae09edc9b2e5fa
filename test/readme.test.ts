import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ListedKey } from '../src/accounts/key-list.ts';
import { keysText } from '../src/cli/keys.ts';
import { requireSettings, SETTING_NAMES, type Settings } from '../src/settings.ts';
import { VERSION } from '../src/version.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const readme = read('README.md');

/** The rows of the table below a heading, each as its cells. */
const tableBelow = (heading: string): string[][] => {
  const section = readme.slice(readme.indexOf(`\n${heading}\n`)).split('\n## ')[1] ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
};

const codes = (text: string): string[] => [...text.matchAll(/`([A-Za-z_-]+)`/g)].map((match) => match[1] ?? '');

/** The text between the fences of the block that has this line in it. */
const sampleWith = (line: string): string => readme.split('\n```').find((block) => block.includes(line)) ?? '';

describe('the README', () => {
  test('names every setting in its table, and no other', () => {
    const named = tableBelow('## Settings').flatMap((cells) => codes(cells[1] ?? ''));
    expect(named.sort()).toEqual([...SETTING_NAMES].sort());
  });

  test('names every finding and its cure, and no other', () => {
    const union = read('src/accounts/finding.ts').split('export type FindingCode =')[1]?.split(';')[0] ?? '';
    const known = [...union.matchAll(/'([a-z-]+)'/g)].map((match) => match[1] ?? '');
    const rows = tableBelow('## When something is wrong');
    expect(rows.flatMap((cells) => codes(cells[1] ?? '')).sort()).toEqual(known.sort());
    expect(rows.filter((cells) => !cells[2] || !cells[3])).toEqual([]);
  });

  const UNSET = requireSettings({});
  test.each(
    tableBelow('## Settings').flatMap(([, names = '', told = '']) =>
      codes(names).map((name) => [name, /^`(.*?)`/.exec(told)?.[1] ?? ''] as const),
    ),
  )('tells the default of %s, as does .env.example', (name, told) => {
    const asked = (value: string): unknown => requireSettings({ [name]: value })[name as keyof Settings];
    expect(asked(told)).toEqual(UNSET[name as keyof Settings]);
    const example = new RegExp(`^#${name}=(.*)$`, 'm').exec(read('.env.example'))?.[1];
    if (name !== 'SSH_PORT') expect(asked(example ?? '?')).toEqual(UNSET[name as keyof Settings]);
  });

  test('has every setting in .env.example and in the compose file', () => {
    for (const name of SETTING_NAMES.filter((each) => each !== 'SSH_PORT')) {
      expect(read('.env.example'), name).toMatch(new RegExp(`^#${name}=`, 'm'));
      expect(read('docker-compose.yml'), name).toContain(`${name}: \${${name}:-}`);
    }
  });

  test('shows the keys as they are printed', () => {
    const NOW = new Date('2026-01-01T12:00:00Z');
    const key = (account: string, role: ListedKey['role'], fingerprint: string, comment: string): ListedKey => ({
      ...{ account, role, type: 'ssh-ed25519', fingerprint, comment, options: {}, file: null, line: null },
      ...{ lastSeen: null, expired: false, alsoOpens: [] },
    });
    const [SHARED, OWN] = [
      'SHA256:EnkQUWvfAWnXk/UYomt4kYMsZ7BnfQaVHd1N2A7BmgY',
      'SHA256:lpA6FoTN/XA41J6oNAwmEDTcTtnEmJY/10Dx3gXmvbI',
    ];
    const text = keysText(
      [
        {
          ...key('alice', 'admin', SHARED, 'me@laptop'),
          ...{ alsoOpens: ['web01'], lastSeen: { at: '2026-01-01T11:56:00Z', address: '203.0.113.9' } },
        },
        { ...key('web01', 'repo', SHARED, 'me@laptop'), alsoOpens: ['alice'] },
        {
          ...key('web01', 'repo', OWN, 'root@web01'),
          ...{ options: { from: '203.0.113.0/24' }, lastSeen: { at: '2026-01-01T11:59:48Z', address: '203.0.113.7' } },
        },
      ],
      NOW,
    );
    expect(sampleWith('LAST LOGIN').trim()).toBe(text.trim());
  });

  test('begins with commands that run the server and the tests', () => {
    expect(readme).toContain('docker compose up -d --build');
    expect(readme).toContain('npm cit');
  });
});

test('the version is that of package.json', () => {
  expect(JSON.parse(read('package.json')).version).toBe(VERSION);
});
