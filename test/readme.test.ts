import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSettings, SETTING_NAMES, type Settings } from '../src/settings.ts';
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

  const UNSET = readSettings({});
  test.each(
    tableBelow('## Settings').flatMap(([, names = '', told = '']) =>
      codes(names).map((name) => [name, /^`(.*?)`/.exec(told)?.[1] ?? ''] as const),
    ),
  )('tells the default of %s, as does .env.example', (name, told) => {
    const asked = (value: string): unknown => readSettings({ [name]: value })[name as keyof Settings];
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

  test('begins with commands that run the server and the tests', () => {
    expect(readme).toContain('docker compose up -d --build');
    expect(readme).toContain('npm cit');
  });
});

test('the version is that of package.json', () => {
  expect(JSON.parse(read('package.json')).version).toBe(VERSION);
});
