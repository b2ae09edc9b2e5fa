import { execFileSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createClient, type Key } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn, lockedOut } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { onlyOn, type Server, startServer } from './harness/server.ts';
import { connected } from './harness/sessions.ts';

const library = (): string => globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0] ?? '';

// A time namespace does not change the wall clock. libfaketime changes it for the server, sshd and borg, but only where it is installed.
onlyOn('namespace', () => {
  let server: Server;
  let client: Client;
  let other: Key;
  /** The file is beside the repositories, where every process in the server can read it. */
  const clock = () => join(server.repos, '.clock');
  const jump = async (offset: string): Promise<void> => {
    await writeFile(clock(), `${offset}\n`);
    const [hours = 0] = [Number(offset.replace('h', ''))];
    await until('the clock to jump', async () => {
      const seen = Number((await server.exec(['date', '+%s'])).stdout) - Date.now() / 1000;
      return Math.abs(seen - hours * 3600) < 60;
    });
  };

  beforeAll(async () => {
    if (!existsSync(library()))
      execFileSync(
        'apt-get',
        ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', 'libfaketime'],
        {
          stdio: 'ignore',
        },
      );
    server = await startServer({
      env: {
        RESYNC_SECONDS: '2',
        LD_PRELOAD: library(),
        FAKETIME_TIMESTAMP_FILE: '/repos/.clock',
        FAKETIME_NO_CACHE: '1',
        // Timers follow the monotonic clock, which nobody can set.
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        // The times of files are the kernel's.
        NO_FAKE_STAT: '1',
      },
      prepare: ({ repos }) => writeFile(join(repos, '.clock'), '+0h\n'),
    });
    client = await createClient(server);
    other = await client.newKey();
    await writeKeyFile(server, 'repos/web01', client.key);
    await grant(server, 'repos/web02', client.key);
  });
  afterAll(async () => {
    await client?.cleanup();
    await server?.cleanup();
  });

  test.each(['-1h', '+24h', '+0h'])(
    'the clock jumps by %s: sessions go on, keys come and go as soon as ever, and what drifts is repaired',
    async (offset) => {
      const session = await connected(server, client, 'web01', client.key);
      await jump(offset);
      await writeKeyFile(server, 'repos/web02', other);
      await lockedOut(client, 'web02');
      await letIn(client, 'web02', other);
      await rm(join(server.sshkeys, 'repos/web02'));
      await lockedOut(client, 'web02', other);
      await writeKeyFile(server, 'repos/web02', client.key);
      await letIn(client, 'web02');
      // Nothing watches the account database: only the periodic pass repairs it.
      await server.exec(['sed', '-i', '/^web02:/d', '/var/lib/extrausers/passwd']);
      await letIn(client, 'web02');
      expect(session.over()).toBe(false);
      session.ssh.kill();
      await session.ended();
      expect((await server.exec(['update-borgusers'])).exitCode).toBe(0);
      // The log says how long a session really took, whatever the clock shows.
      const seconds = [...server.log().matchAll(/session closed.*"seconds":(\d+)/g)].map(([, each]) => Number(each));
      expect(seconds.length).toBeGreaterThan(0);
      expect(Math.max(...seconds)).toBeLessThan(600);
    },
  );

  test('a key that expires tomorrow ends its sessions when tomorrow comes by a jump', async () => {
    const tomorrow = new Date(Date.now() + 12 * 3600_000);
    const stamp = tomorrow.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14);
    await writeFile(
      join(server.sshkeys, 'repos/expires'),
      `expiry-time="${stamp}Z" ${client.key.public}\n${other.public}\n`,
    );
    await letIn(client, 'expires');
    const ends = await connected(server, client, 'expires', client.key);
    const stays = await connected(server, client, 'expires', other);
    await jump('+24h');
    await ends.ended();
    expect(await letsIn(client, 'expires')).toBe(false);
    expect(stays.over()).toBe(false);
    expect(await letsIn(client, 'expires', other)).toBe(true);
    await jump('+0h');
    await letIn(client, 'expires');
    expect(stays.over()).toBe(false);
    stays.ssh.kill();
  });
});
