import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hostKeyFingerprints, prepareHostKeys } from '../../src/sshd/host-keys.ts';

// Real programs on a machine that may be busy.
let root: string;
let made: string;
let folder: string;
let run: string;
let count = 0;

const all = ['ssh_host_ecdsa_key', 'ssh_host_ed25519_key', 'ssh_host_rsa_key'].flatMap((name) => [name, `${name}.pub`]);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  made = join(root, 'made');
  await prepareHostKeys({ folder: made, run: join(root, 'first') });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  folder = join(root, `host-${++count}`);
  run = join(root, `run-${count}`);
  mkdirSync(folder);
  mkdirSync(run);
  for (const name of all) copyFileSync(join(made, name), join(folder, name));
});

const bad = (file: string, found: RegExp, code = 'bad-host-key') =>
  expect.objectContaining({
    cause: expect.objectContaining({ code, file, found: expect.stringMatching(found), remedy: expect.any(String) }),
  });
const contents = () => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]);

describe('at the first start', () => {
  test('an ed25519, an ecdsa and an RSA key of 3072 bits are made, and nothing else is left there', async () => {
    expect(readdirSync(made)).toEqual(all);
    expect(statSync(join(made, 'ssh_host_rsa_key')).mode & 0o777).toBe(0o600);
    const { stdout } = await execa('ssh-keygen', ['-l', '-f', join(made, 'ssh_host_rsa_key.pub')]);
    expect(stdout).toMatch(/^3072 /);
  });

  test('what a killed start left half done is cleared, and what it finished is kept', async () => {
    const left = join(folder, '.new-host-key-abcdef');
    mkdirSync(left);
    writeFileSync(join(left, 'ssh_host_rsa_key'), 'half');
    for (const name of ['ssh_host_ed25519_key.pub', 'ssh_host_rsa_key', 'ssh_host_rsa_key.pub'])
      rmSync(join(folder, name));
    const keys = await prepareHostKeys({ folder, run });
    expect(readdirSync(folder)).toEqual(all);
    expect(keys[0]?.publicLine).toBe(readFileSync(join(made, 'ssh_host_ed25519_key.pub'), 'utf8').trim());
    expect(keys).toHaveLength(3);
  });
});

describe('at every later start', () => {
  test('the keys stay as they are, and sshd gets copies that only root can read, whatever a NAS shows', async () => {
    for (const name of all) chmodSync(join(folder, name), 0o777);
    const before = contents();
    const keys = await prepareHostKeys({ folder, run });
    expect(contents()).toEqual(before);
    expect(keys.map(({ type }) => type)).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa']);
    for (const key of keys) {
      expect(key.privatePath.startsWith(`${run}/host_keys/`)).toBe(true);
      expect(statSync(key.privatePath).mode & 0o777).toBe(0o600);
      const { stdout } = await execa('ssh-keygen', ['-l', '-f', key.privatePath]);
      expect(stdout.split(' ')[1]).toBe(key.fingerprint);
    }
    expect(hostKeyFingerprints(keys)[0]).toMatch(/^ssh-ed25519 SHA256:/);
    expect(statSync(join(run, 'host_keys')).mode & 0o777).toBe(0o700);
  });

  test('a second run replaces the copies', async () => {
    await prepareHostKeys({ folder, run });
    writeFileSync(join(run, 'host_keys/ssh_host_old_key'), '');
    await prepareHostKeys({ folder, run });
    expect(readdirSync(join(run, 'host_keys'))).toEqual([
      'ssh_host_ecdsa_key',
      'ssh_host_ed25519_key',
      'ssh_host_rsa_key',
    ]);
  });

  test('a private key without its last line end is still one', async () => {
    const file = join(folder, 'ssh_host_ed25519_key');
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    expect(await prepareHostKeys({ folder, run })).toHaveLength(3);
  });
});

test('a folder that cannot be written is enough if it has one key, and not if it has none', async () => {
  const names = ['ssh_host_ed25519_key'];
  for (const name of readdirSync(folder)) if (!names.includes(name)) rmSync(join(folder, name));
  const readOnly = async (where: string) => {
    const script = `mount --bind ${where} ${where} && mount -o remount,ro,bind ${where} && exec ${process.execPath} --input-type=module -e "$1"`;
    const source = JSON.stringify(join(import.meta.dirname, '../../src/sshd/host-keys.ts'));
    const code = `import(${source}).then(({ prepareHostKeys }) => prepareHostKeys({ folder: '${where}', run: '${run}' })).then(
      (keys) => console.log(JSON.stringify(keys.map((key) => key.type))), (error) => console.log(JSON.stringify(error.cause)));`;
    return JSON.parse((await execa('unshare', ['--mount', 'sh', '-c', script, 'sh', code])).stdout);
  };
  expect(await readOnly(folder)).toEqual(['ssh-ed25519']);
  expect(readdirSync(folder)).toEqual(names);
  rmSync(join(folder, 'ssh_host_ed25519_key'));
  expect(await readOnly(folder)).toMatchObject({
    code: 'no-host-key',
    file: folder,
    found: expect.stringContaining('EROFS'),
  });
});

describe('a key that is not right stops the start', () => {
  const rejected = (name: string, found: RegExp) =>
    expect(prepareHostKeys({ folder, run })).rejects.toThrow(bad(join(folder, name), found));

  test('with a passphrase', async () => {
    await execa('ssh-keygen', ['-p', '-N', 'secret', '-f', join(folder, 'ssh_host_rsa_key')]);
    await rejected('ssh_host_rsa_key', /passphrase/);
  });

  test('with the public half of another key', async () => {
    copyFileSync(join(folder, 'ssh_host_rsa_key.pub'), join(folder, 'ssh_host_ed25519_key.pub'));
    await rejected('ssh_host_ed25519_key.pub', /another key/);
  });

  test('without its private half', async () => {
    rmSync(join(folder, 'ssh_host_ecdsa_key'));
    await rejected('ssh_host_ecdsa_key.pub', /without its private half/);
    expect(readdirSync(folder)).not.toContain('ssh_host_ecdsa_key');
  });

  test('empty', async () => {
    writeFileSync(join(folder, 'ssh_host_ed25519_key'), '');
    await rejected('ssh_host_ed25519_key', /empty/);
  });

  test('no key, a public one, a folder', async () => {
    const file = join(folder, 'ssh_host_ed25519_key');
    writeFileSync(file, 'no key\n');
    await rejected('ssh_host_ed25519_key', /not a private key/);
    copyFileSync(join(made, 'ssh_host_ed25519_key.pub'), file);
    await rejected('ssh_host_ed25519_key', /not a private key/);
    rmSync(file);
    mkdirSync(file);
    await rejected('ssh_host_ed25519_key', /not a file/);
  });

  test('too weak', async () => {
    rmSync(join(folder, 'ssh_host_rsa_key'));
    rmSync(join(folder, 'ssh_host_rsa_key.pub'));
    await execa('ssh-keygen', ['-q', '-t', 'rsa', '-b', '1024', '-N', '', '-f', join(folder, 'ssh_host_rsa_key')]);
    await rejected('ssh_host_rsa_key', /1024 bits/);
  });
});
