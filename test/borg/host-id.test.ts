import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readHostId } from '../../src/borg/host-id.ts';
import { type Places, placesBelow } from '../../src/places.ts';

let root: string;
let places: Places;
let file: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'host-id-'));
  places = placesBelow(root);
  mkdirSync(places.state, { recursive: true });
  file = join(places.state, 'host-id');
});
afterEach(() => rmSync(root, { recursive: true }));

describe('the host id', () => {
  test('is made once and stays', () => {
    const id = readHostId(places);
    expect(id).toMatch(/^borgserver-[0-9a-f]{32}$/);
    expect(readHostId(places)).toBe(id);
    expect(readdirSync(places.state)).toEqual(['host-id']);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  test('of two servers differs', () => {
    const other = placesBelow(join(root, 'other'));
    mkdirSync(other.state, { recursive: true });
    expect(readHostId(other)).not.toBe(readHostId(places));
  });

  test("may be an operator's own", () => {
    writeFileSync(file, 'backup.example.org@112233\n');
    expect(readHostId(places)).toBe('backup.example.org@112233');
  });

  test.each([
    '',
    'two words',
    'a"b=c"defg',
    'line\nBORG_X=1234',
    '-begins-with-dash',
    `${'long'.repeat(100)}`,
    'nul\0byte-in-it',
  ])('is refused and kept as it is where it is damaged: %j', (text) => {
    writeFileSync(file, text);
    expect(() => readHostId(places)).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'bad-host-id' }) }),
    );
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('is never read through a link', () => {
    writeFileSync(join(root, 'elsewhere'), 'borgserver-of-somebody-else');
    symlinkSync(join(root, 'elsewhere'), file);
    expect(() => readHostId(places)).toThrow('ELOOP');
  });
});
