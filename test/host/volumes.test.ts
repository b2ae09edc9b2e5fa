import { expect, test } from 'vitest';
import { inNoVolume } from '../../src/host/volumes.ts';
import { parseMountinfo } from '../../src/system/mounts.ts';

const PLACES = { sshkeys: '/sshkeys', repos: '/repos' };
const lost = (mounts: readonly string[], filled: readonly string[] = []) =>
  inNoVolume(
    PLACES,
    parseMountinfo(mounts.map((at) => `36 35 98:0 / ${at} rw,noatime - ext4 /dev/root rw\n`).join('')),
    (folder) => !filled.includes(folder),
  );

test('what is mounted is kept, what is not is lost', () => {
  expect(lost(['/', '/sshkeys', '/repos'])).toEqual([]);
  expect(lost(['/', '/sshkeys'])).toEqual(['/repos']);
  expect(lost(['/', '/repos'])).toEqual(['/sshkeys']);
  expect(lost(['/', '/sshkeys/other/deep'])).toEqual(['/sshkeys', '/repos']);
});

test('where each role folder is a volume, the tree is not lost; what is in the others is', () => {
  const parts = ['/sshkeys/repos', '/sshkeys/repos-appendonly', '/sshkeys/admins', '/sshkeys/host'];
  expect(lost(['/repos', ...parts], parts)).toEqual([]);
  expect(lost(['/repos', '/sshkeys/repos'])).toEqual([]);
  expect(lost(['/repos', '/sshkeys/repos'], ['/sshkeys/repos', '/sshkeys/host', '/sshkeys/admins'])).toEqual([
    '/sshkeys/admins',
    '/sshkeys/host',
  ]);
});
