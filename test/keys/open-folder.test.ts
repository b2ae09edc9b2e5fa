import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { identityOf, pathInside } from '../../src/keys/open-folder.ts';

let root: string;
let tree: string;
let identity: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'open-folder-'));
  tree = join(root, 'sshkeys');
  mkdirSync(join(tree, 'repos'), { recursive: true });
  identity = identityOf(statSync(tree, { bigint: true }));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('what the kernel calls an open file', () => {
  test('is inside the folder, whatever name the folder has now', () => {
    expect(pathInside(join(tree, 'repos/web01'), identity)).toBe('/repos/web01');
    renameSync(tree, join(root, 'away'));
    expect(pathInside(join(root, 'away/repos/web01'), identity)).toBe('/repos/web01');
  });

  test('says nothing where the folder has moved on since', () => {
    renameSync(tree, join(root, 'away'));
    const seen = join(root, 'away/repos/web01');
    renameSync(join(root, 'away'), tree);
    expect(pathInside(seen, identity)).toBe('moved');
  });

  test.each(['/etc/passwd', '/passwd', 'pipe:[4711]', '(unreachable)/web01'])('is not inside: %s', (path) => {
    expect(pathInside(path, identity)).toBeNull();
  });

  test('is inside the root folder, too', () => {
    expect(pathInside('/web01', identityOf(statSync('/', { bigint: true })))).toBe('/web01');
    expect(pathInside('/etc/passwd', identityOf(statSync('/', { bigint: true })))).toBe('/etc/passwd');
  });
});
