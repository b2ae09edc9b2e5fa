import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeFile } from '../../src/host/write.ts';
import { interceptSystem, systemError } from '../reconcile/failing-system.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-write-'));
  path = join(folder, 'web01');
});
afterEach(() => rmSync(folder, { recursive: true }));

const LINES = 'restrict ssh-ed25519 AAAA\nrestrict ssh-ed25519 BBBB\n';

describe('a file that is made', () => {
  test('is whole before anybody but root can open it, whatever the umask', () => {
    const seen: string[] = [];
    const umask = process.umask(0o077);
    const undo = interceptSystem(({ name }) => {
      if (name === 'statSync' || !existsSync(path)) return;
      const { mode, size } = statSync(path);
      seen.push(`${(mode & 0o777).toString(8)} with ${size} bytes at ${name}`);
    });
    try {
      expect(makeFile(path, LINES, { mode: 0o640, gid: 4242 })).toBe(true);
    } finally {
      undo();
      process.umask(umask);
    }
    expect(seen).toEqual([
      '600 with 0 bytes at writeSync',
      `600 with ${LINES.length} bytes at fchownSync`,
      `600 with ${LINES.length} bytes at fchmodSync`,
      `640 with ${LINES.length} bytes at closeSync`,
    ]);
    expect(readFileSync(path, 'utf8')).toBe(LINES);
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 4242, mode: 0o100640 });
  });

  test('does not take the place of what is there, nor follow it', () => {
    symlinkSync(join(folder, 'elsewhere'), path);
    expect(makeFile(path, LINES, { mode: 0o640, gid: 4242 })).toBe(false);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder)).toEqual(['web01']);
  });

  test.each(['writeSync', 'fchmodSync'])('leaves nothing where %s fails', (name) => {
    const undo = interceptSystem((call) => {
      if (call.name === name) throw systemError('ENOSPC', call);
    });
    try {
      expect(() => makeFile(path, LINES, { mode: 0o640, gid: 4242 })).toThrow(
        'a file of the server could not be written',
      );
    } finally {
      undo();
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});
