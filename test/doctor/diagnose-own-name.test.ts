import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Diagnosis } from '../../src/doctor/diagnosis.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-name-'));
  writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.2\noptions timeout:1 attempts:2\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What doctor says on a machine called lost.example.org. Its network has a resolver that hears and never answers. */
const onLostMachine = async (hosts: string, patience: number): Promise<Diagnosis> => {
  writeFileSync(join(folder, 'hosts'), hosts);
  const mute = 'import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.2",53)); time.sleep(600)';
  const script = `
    mount --make-rprivate / && ip link set lo up && echo lost.example.org >/proc/sys/kernel/hostname
    mount --bind "$0/resolv.conf" "$(readlink -f /etc/resolv.conf)" && mount --bind "$0/hosts" /etc/hosts
    /usr/bin/python3 -c '${mute}' &
    until ss -Hlun | grep -q 127.0.0.2:53; do sleep 0.05; done
    "$@"; kill $!`;
  const look = [process.execPath, join(import.meta.dirname, 'run-own-name.ts'), String(patience)];
  const { stdout } = await execa('unshare', ['--net', '--mount', '--uts', 'sh', '-c', script, folder, ...look], {
    stdin: 'ignore',
  });
  return JSON.parse(stdout);
};

test('a resolver that does not answer is told, since every session waits for it', async () => {
  expect(await onLostMachine('127.0.0.1 localhost\n', 60_000)).toMatchObject({
    level: 'warning',
    message: expect.stringMatching(/^looking up lost\.example\.org takes \d+ ms, and each session waits for it$/),
  });
});

test('the check waits no longer for it than it takes to know', async () => {
  expect(await onLostMachine('127.0.0.1 localhost\n', 1200)).toMatchObject({
    message: expect.stringContaining('takes more than 1200 ms'),
  });
});

test('the name in /etc/hosts is the cure', async () => {
  // On a busy machine a look-up may take long once, but not each time.
  await expect
    .poll(() => onLostMachine('127.0.0.1 localhost\n192.0.2.1 lost.example.org\n', 60_000))
    .toMatchObject({
      level: 'ok',
      message: expect.stringMatching(/^lost\.example\.org is looked up in \d+ ms$/),
    });
});
