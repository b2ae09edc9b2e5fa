import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diagnoseOpenHostKeys } from '../../src/doctor/diagnose-host-keys.ts';

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'open-host-keys-')), 'host');
  mkdirSync(folder, { mode: 0o755 });
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

const key = (name: string, mode: number): void => {
  writeFileSync(join(folder, name), '');
  chmodSync(join(folder, name), mode);
};
const told = (): string[] => diagnoseOpenHostKeys(folder).map(({ level, message }) => `${level} ${message}`);

test('a private host key that others can read is told, with its mode and the command that closes it', () => {
  key('ssh_host_rsa_key', 0o640);
  expect(told()).toEqual([expect.stringMatching(/^warning .*ssh_host_rsa_key is private.*\(mode 640\)/)]);
  expect(diagnoseOpenHostKeys(folder)[0]?.cure).toContain(`chmod 600 ${join(folder, 'ssh_host_rsa_key')}`);
});

test('a copy that somebody left beside it is told, too', () => {
  key('ssh_host_ed25519_key.bak', 0o604);
  expect(told()).toHaveLength(1);
});

test('private keys that only their owner can read, public halves, files that are no host key, and a folder that nobody else may enter are fine', () => {
  key('ssh_host_rsa_key', 0o600);
  key('ssh_host_rsa_key.pub', 0o644);
  key('README', 0o644);
  symlinkSync('nowhere', join(folder, 'ssh_host_link'));
  expect(told()).toEqual([]);
  key('ssh_host_rsa_key', 0o644);
  expect(told()).toHaveLength(1);
  chmodSync(folder, 0o700);
  expect(told()).toEqual([]);
  expect(diagnoseOpenHostKeys(join(folder, 'gone'))).toEqual([]);
});
