import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from './harness/client.ts';
import { waitingForLock } from './harness/held-lock.ts';
import { grant } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';
import type { Finished, Running } from './harness/program.ts';
import { type Call, open, request, requests } from './harness/raw-borg.ts';
import { contents } from './harness/repository-files.ts';
import { updated } from './harness/updated.ts';

let operator: Client;
let other: Client;

ownServer({}, async () => {
  operator = await anotherClient();
  other = await anotherClient();
  await grant(server, 'repos-appendonly/db01', client.key);
  await grant(server, 'repos/web01', other.key);
  await grant(server, 'admins/ops', operator.key);
  await updated(server);
  for (const [of, name] of [[client, 'db01'] as const, [other, 'web01'] as const]) {
    await mkdir(join(of.home, 'documents'));
    await writeFile(join(of.home, 'documents/letter'), randomBytes(700_000));
    await of.borg(['init', '--encryption', 'repokey-blake2', of.url(name)]);
    await of.borg(['create', `${of.url(name)}::a1`, 'documents'], { cwd: of.home });
  }
});

const run = (...words: string[]) => server.exec(['borgserver', ...words], { reject: false });
const compact = (name: string) =>
  operator.borg(['compact', '--threshold', '0', operator.url('ops', name)], { reject: false });
const segments = (name: string) => contents(join(server.repos, name, 'data'));
const REFUSED =
  /db01 is not compacted: .*an append-only client deleted what stood there.*borgserver history db01 --seen/;

test('what an append-only client has deleted is not made final before somebody has looked, though no snapshot was due', async () => {
  expect(await run('snapshots', 'db01', '--take')).toMatchObject({ exitCode: 0 });
  await client.borg(['create', `${client.url('db01')}::a2`, 'documents'], { cwd: client.home });
  expect(await run('snapshots', 'db01', '--take')).toMatchObject({ exitCode: 0 });
  await client.borg(['delete', client.url('db01'), 'a1', 'a2']);
  const before = await segments('db01');

  const refused = await compact('db01');
  expect(refused.stderr).toMatch(REFUSED);
  expect(refused.exitCode).toBe(2);
  expect(await segments('db01')).toEqual(before);
  for (const words of [
    ['borg', 'compact', '--threshold', '0', 'db01'],
    ['maintenance', 'db01', '--', 'compact', '--threshold', '0'],
    ['borg', 'compact', '--threshold', '0', 'all'],
  ]) {
    const { exitCode, stderr } = await run(...words);
    expect({ words, exitCode, stderr }).toEqual({ words, exitCode: 2, stderr: expect.stringMatching(REFUSED) });
    expect(await segments('db01')).toEqual(before);
  }
  expect((await run('history', 'db01')).exitCode).toBe(1);
});

test('an admin may do everything else meanwhile, and another repository is compacted', async () => {
  const url = operator.url('ops', 'db01');
  await operator.borg(['create', `${url}::b1`, '/etc/hostname']);
  await operator.borg(['prune', '--keep-last', '5', url]);
  await operator.borg(['check', url]);
  expect(await compact('web01')).toMatchObject({ exitCode: 0 });
  expect(await run('borg', 'compact', 'web01')).toMatchObject({ exitCode: 0 });
});

test('once it was looked at, it is compacted, by an admin and at the server', async () => {
  expect(await run('history', 'db01', '--seen')).toMatchObject({ exitCode: 0 });
  const before = await segments('db01');
  expect(await compact('db01')).toMatchObject({ exitCode: 0 });
  const after = await segments('db01');
  expect([...before.keys()].filter((path) => !after.has(path)).length).toBeGreaterThan(0);
  expect(await run('maintenance', 'db01', '--', 'compact')).toMatchObject({ exitCode: 0 });
});

test('what the operator deletes himself at the server he need not look at', async () => {
  const passphrase = { env: { BORG_PASSPHRASE: 'borgserver' }, reject: false };
  await other.borg(['create', `${other.url('web01')}::a2`, 'documents'], { cwd: other.home });
  for (const words of [['delete', '::a1'], ['delete', '::a2'], ['compact']])
    expect(await server.exec(['borgserver', 'maintenance', 'web01', '--', ...words], passphrase)).toMatchObject({
      exitCode: 0,
    });
});

type Remover = {
  readonly who: string;
  /** Deletes an archive, as soon as it has the lock. */
  readonly remove: (archive: string) => Running;
  readonly finish: () => Promise<Finished>;
};
const PATIENT = ['--lock-wait', '60'];
const REMOVERS: readonly Remover[] = [
  {
    who: 'an admin',
    remove: (archive) => operator.borg([...PATIENT, 'delete', operator.url('ops', 'db01'), archive]),
    finish: () => compact('db01'),
  },
  {
    who: 'the operator',
    remove: (archive) =>
      server.exec(['borgserver', 'borg', 'delete', ...PATIENT, 'db01', archive], {
        env: { BORG_PASSPHRASE: 'borgserver' },
      }),
    finish: () => run('borg', 'compact', '--threshold', '0', 'db01'),
  },
];
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];

/** A session of the append-only client that has the lock. */
const hold = async () => {
  const ssh = client.ssh('db01', ['borg', 'serve'], { key: client.key, input: 'pipe', reject: false });
  ssh.stdin?.write(requests(open('/repos/db01', { exclusive: true })));
  await until('the lock', async () => (await readdir(join(server.repos, 'db01'))).includes('lock.exclusive'));
  return async (...calls: readonly Call[]): Promise<void> => {
    ssh.stdin?.end(Buffer.concat(calls.map((call, index) => request(index + 3, call))));
    await ssh;
  };
};

describe.each(REMOVERS)('what $who deletes', ({ who, remove, finish }) => {
  const id = Buffer.alloc(32, who);

  test('is compacted, and does not hide what an append-only client deletes after it', async () => {
    await (await hold())(['put', { id, data: Buffer.alloc(1000) }], COMMIT);
    for (const archive of ['c1', 'c2', 'c3', 'c4']) {
      await writeFile(join(client.home, 'documents/letter'), randomBytes(300_000));
      await client.borg(['create', `${client.url('db01')}::${archive}`, 'documents'], { cwd: client.home });
    }
    await remove('c1');
    expect(await finish()).toMatchObject({ exitCode: 0 });

    // No snapshot is due in between.
    await remove('c2');
    await client.borg(['delete', client.url('db01'), 'c3']);
    expect(await finish()).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(REFUSED) });
    expect(await run('history', 'db01', '--seen')).toMatchObject({ exitCode: 0 });
  });

  test('does not hide what one deletes before it, while it waits for the lock', async () => {
    const go = await hold();
    const removed = remove('c4');
    await waitingForLock(server, 'db01');
    await go(['delete', { id }], COMMIT);
    await removed;
    expect(await finish()).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(REFUSED) });
    expect(await run('history', 'db01', '--seen')).toMatchObject({ exitCode: 0 });
  });
});
