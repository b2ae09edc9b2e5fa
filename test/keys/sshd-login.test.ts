import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderLine } from '../../src/accounts/authorized-key-line.ts';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { parseOptions } from '../../src/keys/options.ts';
import { probeSshd } from '../../src/sshd/probe.ts';
import { until } from '../e2e/harness/machine.ts';

// An sshd of its own on loopback, in front of one authorized_keys file: the proof that it takes what is written.

const TYPES = ['ed25519', 'rsa-2048', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521'] as const;

let folder: string;
let server: ChildProcess;
let port: number;

const keyFile = (type: string): string => join(folder, type);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'login-'));
  mkdirSync('/run/sshd', { recursive: true });
  for (const type of TYPES) {
    const [name = '', bits] = type.split('-');
    const words = ['-q', '-t', name, ...(bits ? ['-b', bits] : []), '-N', '', '-C', 'me', '-f', keyFile(type)];
    execFileSync('ssh-keygen', words);
  }
  port = await freePort();
  writeFileSync(
    join(folder, 'sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${keyFile(TYPES[0])}`,
      `AuthorizedKeysFile ${folder}/authorized_keys`,
      'PidFile none',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'UsePAM no',
      'StrictModes no',
      'MaxStartups 100',
      'ForceCommand echo admitted',
      // Otherwise sshd would soon refuse all logins, because of those that must be refused.
      ...((await probeSshd()).supported.has('PerSourcePenalties') ? ['PerSourcePenalties no'] : []),
      '',
    ].join('\n'),
  );
  chmodSync(folder, 0o755);
  server = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' });
  await until('sshd to listen', () => isListening(port));
});

afterAll(() => {
  server.kill();
  rmSync(folder, { recursive: true });
});

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });

const isListening = (at: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(at, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

const login = (key: string): Promise<string> =>
  new Promise((resolve) => {
    const options = [
      'BatchMode=yes',
      'IdentitiesOnly=yes',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'LogLevel=ERROR',
    ];
    const words = ['-F', 'none', '-i', key, '-p', String(port), ...options.flatMap((option) => ['-o', option])];
    execFile('ssh', [...words, 'root@127.0.0.1', 'true'], (error, stdout) =>
      resolve(error ? 'refused' : stdout.trim()),
    );
  });

const authorize = (line: string): void => writeFileSync(join(folder, 'authorized_keys'), `${line}\n`);

describe('sshd', () => {
  test.each(TYPES)('admits a key of type %s by the line that is written for it', async (type) => {
    const [key] = parseKeyFile(readFileSync(`${keyFile(type)}.pub`), 'key').keys;
    if (!key) throw new Error('the key was not accepted');
    authorize(
      renderLine({
        ...key,
        comment: 'h\u00f6st "quoted\\\\ # \u{1f511}',
        options: { from: '127.0.0.0/8,!127.0.0.2', expiryTime: '20990101Z' },
      }),
    );
    expect(await login(keyFile(type))).toBe('admitted');
  });

  // Whether we take the options, and what sshd does with them: where we refuse, sshd would have shut the key out.
  test.each([
    ['from="127.0.0.1"', true, true],
    ['from="127.*"', true, true],
    ['from="*"', true, true],
    ['from="::/0,127.0.0.0/8"', true, true],
    ['from="10.0.0.0/8"', true, false],
    ['from="!127.0.0.1,*"', true, false],
    ['from="!10.0.0.1,127.0.0.1"', true, true],
    ['from="127.0.0.1/8,127.0.0.1"', false, false],
    ['from="127.0.0.0/33,127.0.0.1"', false, false],
    ['from="127.0.0.1,"', false, false],
    ['from=127.0.0.1', false, false],
    ['from="127.0.0.1",from="127.0.0.1"', false, false],
    ['expiry-time="20991231"', true, true],
    ['expiry-time="209912312359Z"', true, true],
    ['expiry-time="20991231235959Z"', true, true],
    ['expiry-time="20200101"', true, false],
    ['expiry-time="20201301"', false, false],
    ['expiry-time="2099"', false, false],
    ['no-such-option', false, false],
  ])('%s: taken by us %s, admitted %s', async (options, taken, admitted) => {
    expect(parseOptions(options).ok).toBe(taken);
    authorize(`restrict,${options} ${readFileSync(`${keyFile(TYPES[0])}.pub`, 'utf8').trim()}`);
    expect(await login(keyFile(TYPES[0]))).toBe(admitted ? 'admitted' : 'refused');
  });
});
