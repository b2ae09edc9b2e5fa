import { chmod, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT } from './harness/machine.ts';
import { run } from './harness/program.ts';
import { type Server, startServer } from './harness/server.ts';

let server: Server;
let good: string;

beforeAll(async () => {
  server = await startServer({ ownHostKeys: true });
  good = join(server.sshkeys, '.good');
  await cp(host(), good, { recursive: true });
  await server.stop();
});
afterAll(() => server?.cleanup());

const host = (name = '') => join(server.sshkeys, 'host', name);
const ED25519 = 'ssh_host_ed25519_key';
const keygen = (...words: string[]) => run('ssh-keygen', ['-q', ...words], BASE_ENVIRONMENT);

const renew = async () => {
  await rm(host(), { recursive: true, force: true });
  await cp(good, host(), { recursive: true });
};
const loginWorks = async () => {
  const client = await createClient(server);
  try {
    await grant(server, 'repos/web01', client.key);
    return await letsIn(client, 'web01');
  } finally {
    await client.cleanup();
  }
};

test('three are made at the first start, closed to others, and their fingerprints are in the log', async () => {
  const names = ['ecdsa', 'ed25519', 'rsa'].flatMap((kind) => [`ssh_host_${kind}_key`, `ssh_host_${kind}_key.pub`]);
  const keys = (await readdir(host())).filter((name) => name.startsWith('ssh_host_'));
  expect(keys.sort()).toEqual(names);
  for (const name of names.filter((each) => !each.endsWith('.pub'))) {
    expect((await stat(host(name))).mode & 0o777).toBe(0o600);
    const { stdout } = await run('ssh-keygen', ['-lf', host(name)], BASE_ENVIRONMENT);
    expect(server.log()).toContain(stdout.split(' ')[1]);
  }
});

test('they are kept, and what is missing is made or restored beside them', async () => {
  await renew();
  await rm(host('ssh_host_rsa_key'));
  await rm(host('ssh_host_rsa_key.pub'));
  await rm(host(`${ED25519}.pub`));
  await server.start();
  expect(await readFile(host(ED25519))).toEqual(await readFile(join(good, ED25519)));
  expect((await readFile(host(`${ED25519}.pub`), 'utf8')).trim().split(' ')[1]).toBe(
    (await readFile(join(good, `${ED25519}.pub`), 'utf8')).trim().split(' ')[1],
  );
  expect(await readdir(host())).toContain('ssh_host_rsa_key');
  expect(await loginWorks()).toBe(true);
  await server.stop();
});

test('modes of 0777, as a NAS shows them, are fine', async () => {
  await renew();
  for (const name of await readdir(host())) await chmod(host(name), 0o777);
  await chmod(host(), 0o777);
  await server.start();
  expect(await loginWorks()).toBe(true);
  expect((await stat(host(ED25519))).mode & 0o777).toBe(0o777);
  await server.stop();
});

test('one key is enough, also if it was pasted with Windows line ends or without the last line end', async () => {
  await rm(host(), { recursive: true });
  await mkdir(host());
  await writeFile(host(ED25519), (await readFile(join(good, ED25519), 'utf8')).trimEnd());
  await server.start();
  expect(await loginWorks()).toBe(true);
  await server.stop();
});

test('a folder that cannot be written is enough if the keys are there', async () => {
  await renew();
  await run('mount', ['--bind', host(), host()], BASE_ENVIRONMENT);
  try {
    await run('mount', ['-o', 'remount,bind,ro', host()], BASE_ENVIRONMENT);
    await server.start();
    expect(await loginWorks()).toBe(true);
    await server.stop();
  } finally {
    await run('umount', [host()], BASE_ENVIRONMENT);
  }
});

test('an empty folder that cannot be written stops the start', async () => {
  await rm(host(), { recursive: true });
  await mkdir(host());
  await run('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', host()], BASE_ENVIRONMENT);
  try {
    const seen = server.log().length;
    await server.start({}, { ready: false });
    expect(await server.ended()).not.toBe(0);
    expect(server.log().slice(seen)).toMatch(/cannot start.*no host key.*cannot be written/);
  } finally {
    await run('umount', [host()], BASE_ENVIRONMENT);
  }
});

test.for([
  [
    'with a passphrase',
    () => keygen('-p', '-P', '', '-N', 'secret', '-f', host(ED25519)),
    /private key with a passphrase/,
  ],
  [
    'beside the .pub of another',
    async () => {
      await keygen('-t', 'ed25519', '-N', '', '-f', host('other'));
      await cp(host('other.pub'), host(`${ED25519}.pub`));
    },
    /\.pub.*public half of another key/,
  ],
  ['that is empty', () => writeFile(host(ED25519), ''), /an empty file/],
  ['that is no key', () => writeFile(host(ED25519), 'rubbish\u001b[2J\n'), /not a private key that OpenSSH can read/],
  ['whose private half is gone', () => rm(host(ED25519)), /public host key without its private half/],
] as const)('a host key %s stops the start with the reason, the file and the cure', async ([, spoil, reason]) => {
  await renew();
  await spoil();
  const before = await readdir(host());
  const seen = server.log().length;
  await server.start({}, { ready: false });
  expect(await server.ended()).not.toBe(0);
  const said = server.log().slice(seen);
  expect(said).toMatch(reason);
  expect(said).toMatch(/the server cannot start.*"file":"\/sshkeys\/host\/ssh_host_ed25519_key.*"remedy":"/);
  expect(said).not.toContain('\u001b');
  expect(await readdir(host())).toEqual(before);
});
