import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SETTING_NAMES } from '../src/settings.ts';
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
