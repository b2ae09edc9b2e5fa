import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createClient } from './harness/client.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { startServer } from './harness/server.ts';

ownServer();

const put = (path: string, text: string) => writeFile(join(server.sshkeys, path), text);
const drop = (path: string) => rm(join(server.sshkeys, path), { force: true });
const update = (...words: string[]) => server.exec(['update-borgusers', ...words], { reject: false });

describe('update-borgusers', () => {
  beforeEach(async () => {
    for (const role of ['repos', 'repos-appendonly', 'admins']) {
      await rm(join(server.sshkeys, role), { recursive: true, force: true });
      await server.exec(['mkdir', '-p', `/sshkeys/${role}`]);
    }
    await update();
  });

  test('exits with 0 where all is right, and says what is there', async () => {
    await writeKeyFile(server, 'repos/web01', client.key);
    const { exitCode, stdout, stderr } = await update();
    expect(stdout).toMatch(/\+ account added web01 \(repo\): 1 key in \/sshkeys\/repos\/web01/);
    expect(stdout).toMatch(/1 account, 1 key\.\n$/);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  test('exits with 1 where something was refused, and says where, what and how to cure it', async () => {
    await writeKeyFile(server, 'repos/web01', client.key);
    await put('repos/web02', '# ours\n\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n');
    const { exitCode, stdout } = await update();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/\/sshkeys\/repos\/web02:3: .+\n {6}cure: .+/);
    expect(await letsIn(client, 'web01')).toBe(true);
    await until('the log to tell it, too', () =>
      /malformed-key.*"file":"\/sshkeys\/repos\/web02","line":3,"found":".+","cure":".+"/.test(server.log()),
    );
    await drop('repos/web02');
    expect((await update()).exitCode).toBe(0);
    await until('the log to tell the cure', () => /finding cured.*malformed-key.*web02/.test(server.log()));
  });

  test('prints one JSON object with --json', async () => {
    await writeKeyFile(server, 'repos/web01', client.key);
    await put('admins/ops', 'ssh-rsa nonsense\n');
    const { exitCode, stdout } = await update('--json');
    expect(exitCode).toBe(1);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const report = JSON.parse(stdout);
    expect(report.accounts).toEqual([{ name: 'web01', role: 'repo', uid: expect.any(Number), keys: 1 }]);
    expect(report.stopped).toBe(false);
    expect(report.findings).toContainEqual({
      severity: 'error',
      code: 'malformed-key',
      file: '/sshkeys/admins/ops',
      line: 1,
      message: expect.stringMatching(/./),
      remedy: expect.stringMatching(/./),
    });
    for (const change of report.changes) {
      expect(change).toEqual({ kind: expect.any(String), account: expect.any(String), reason: expect.any(String) });
    }
  });

  test('exits with 2 at a conflict: nobody gains a right, removed rights are taken away, and after the cure it goes on', async () => {
    const [gone, fresh] = [await client.newKey(), await client.newKey()];
    await writeKeyFile(server, 'repos/web01', client.key, gone);
    await writeKeyFile(server, 'repos/leaving', client.key);
    await update();
    expect(await letsIn(client, 'web01', gone)).toBe(true);

    await writeKeyFile(server, 'admins/web01', client.key, fresh);
    await writeKeyFile(server, 'repos/web01', client.key);
    await writeKeyFile(server, 'repos/new', client.key);
    await drop('repos/leaving');
    const stopped = await update();
    expect(stopped.exitCode).toBe(2);
    expect(stopped.stdout).toMatch(/web01 is also declared in \/sshkeys\/admins\/web01 \[conflicting-roles\]/);
    expect(stopped.stdout).toMatch(/STOPPED/);
    expect(await letsIn(client, 'web01')).toBe(true);
    expect(await letsIn(client, 'web01', gone)).toBe(false);
    expect(await letsIn(client, 'web01', fresh)).toBe(false);
    expect(await letsIn(client, 'new')).toBe(false);
    expect(await letsIn(client, 'leaving')).toBe(false);
    expect(JSON.parse((await update('--json')).stdout).stopped).toBe(true);

    await drop('admins/web01');
    expect((await update()).exitCode).toBe(0);
    expect(await letsIn(client, 'new')).toBe(true);
  });

  test('NAME beside NAME.pub is a conflict', async () => {
    const other = await client.newKey();
    await writeKeyFile(server, 'repos/web01', client.key);
    await update();
    await writeKeyFile(server, 'repos/web01.pub', other);
    const { exitCode, stdout } = await update();
    expect(exitCode).toBe(2);
    expect(stdout).toContain('[conflicting-names]');
    expect(await letsIn(client, 'web01')).toBe(true);
    expect(await letsIn(client, 'web01', other)).toBe(false);
  });

  test('a copy that was put aside opens nothing, neither beside its account nor once the account is gone', async () => {
    const [old, sync] = [await client.newKey(), await client.newKey()];
    await writeKeyFile(server, 'repos/copied', client.key);
    await writeKeyFile(server, 'repos/copied.bak', old);
    await writeKeyFile(server, 'repos/copied.sync-conflict-20260101-120000-ABCDEFG.pub', sync);
    await writeKeyFile(server, 'admins/copied.old', old);
    await mkdir(join(server.sshkeys, 'repos/@eaDir'));
    const { exitCode, stdout } = await update();
    expect(stdout.match(/\[leftover\]/g)).toHaveLength(3);
    expect({ exitCode, opened: await letsIn(client, 'copied') }).toEqual({ exitCode: 0, opened: true });
    const closed = async () => {
      for (const name of ['copied.bak', 'copied.old']) expect(await letsIn(client, name, old)).toBe(false);
      expect(await letsIn(client, 'copied.sync-conflict-20260101-120000-ABCDEFG', sync)).toBe(false);
    };
    await closed();
    // The account is revoked. Then its copy is renamed, as somebody may do to close an account.
    await drop('repos/copied');
    expect((await update()).stdout).toMatch(/\/sshkeys\/repos\/copied\.bak: .*whose key file is gone.*\[leftover\]/);
    await closed();
    await rename(join(server.sshkeys, 'repos/copied.bak'), join(server.sshkeys, 'repos/copied.disabled'));
    await update();
    expect(await letsIn(client, 'copied.disabled', old)).toBe(false);
    expect((await server.look(['ls', '/repos'])).stdout).not.toMatch(/copied\./);
  });

  test('an account that really has the name of a copy is closed with a finding, and the printed cure opens it', async () => {
    const own = await client.newKey();
    await writeKeyFile(server, 'repos/twin.old', own);
    await update();
    await client.borg(['init', '-e', 'none', client.url('twin.old')], { key: own });
    await writeKeyFile(server, 'repos/twin', client.key);
    const { exitCode, stdout } = await update();
    expect({ exitCode, opened: await letsIn(client, 'twin.old', own) }).toEqual({ exitCode: 1, opened: false });
    const [cure = ''] = /mv -T \/repos\/twin\.old .*/.exec(stdout) ?? [];
    await server.exec(['sh', '-c', cure]);
    expect((await update()).exitCode).toBe(0);
    const { stdout: list } = await client.borg(['info', client.url('twin-old')], {
      ...{ key: own, env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } },
    });
    expect(list).toContain('/repos/twin-old');
  });

  test('changes nothing with --dry-run and prints the same', async () => {
    await writeKeyFile(server, 'repos/dry', client.key);
    await update();
    const passwd = async () => (await server.look(['cat', '/var/lib/extrausers/passwd'])).stdout;
    // Nothing watches the account database, so no other pass makes this change first. Only a look at the tree that is still due
    // may come first.
    const { before, dry, between, foretold, done } = await until('a dry run with something to do', async () => {
      await server.exec(['sed', '-i', '/^dry:/d', '/var/lib/extrausers/passwd']);
      const before = await passwd();
      const dry = await update('--dry-run');
      const foretold = JSON.parse((await update('--dry-run', '--json')).stdout);
      const between = await passwd();
      const done = JSON.parse((await update('--json')).stdout);
      return dry.stdout.includes('Would change:') && done.changes.length > 0
        ? { before, dry, between, foretold, done }
        : undefined;
    });
    expect(dry.exitCode).toBe(0);
    expect(dry.stdout).toMatch(
      /Would change:\n(.*\n)* {2}\+ account added dry \(repo\): 1 key in \/sshkeys\/repos\/dry/,
    );
    expect(between).toBe(before);
    expect(foretold).toEqual(done);
    expect(await passwd()).not.toBe(before);
  });

  test('exits with 3 where the pass fails, says why, and revokes all the same what was removed', async () => {
    await writeKeyFile(server, 'repos/failing', client.key);
    await update();
    expect(await letsIn(client, 'failing')).toBe(true);
    const record = join(server.repos, '.borgserver/identities.json');
    await rename(record, `${record}.aside`);
    await mkdir(record);
    try {
      await drop('repos/failing');
      await writeKeyFile(server, 'repos/waiting', client.key);
      const failed = await update();
      expect(failed.exitCode).toBe(3);
      expect(failed.stdout + failed.stderr).toContain('EISDIR');
      expect(await letsIn(client, 'failing')).toBe(false);
      expect(await letsIn(client, 'waiting')).toBe(false);
      expect((await update('--json')).exitCode).toBe(3);
    } finally {
      await rm(record, { recursive: true });
      await rename(`${record}.aside`, record);
    }
    expect((await update()).exitCode).toBe(0);
    expect(await letsIn(client, 'waiting')).toBe(true);
    await drop('repos/waiting');
    await update();
  });
});

test('the log says which option of a key in the file refuses it, and which account the key of another account opens', async () => {
  const [elsewhere, former, other] = [await client.newKey(), await client.newKey(), await client.newKey()];
  await put(
    'repos/optioned',
    `from="192.0.2.0/24,*.lan" ${elsewhere.public}\nexpiry-time="20200101Z" ${former.public}\n`,
  );
  await writeKeyFile(server, 'repos/other', other);
  expect((await update()).stdout).toMatch(/optioned:1: from= has '\*\.lan'.*\[option-without-effect\]/);
  // Where many logins are refused, the log has one a second.
  for (const [key, told] of [
    [elsewhere, /"reason":"its key is right, and from= does not allow its address"/],
    [former, /"reason":"its key is right, and its expiry-time= has passed"/],
    [other, /"reason":"no key was accepted".*"opens":"other"/],
  ] as const)
    await until(`the log to say ${told}`, async () => {
      expect(await letsIn(client, 'optioned', key)).toBe(false);
      return server
        .log()
        .split('\n')
        .some((line) => line.includes('"asked":"optioned"') && line.includes(key.fingerprint) && told.test(line));
    });
  for (const name of ['optioned', 'other']) await drop(`repos/${name}`);
  await update();
});

describe('names and comments of an attacker', () => {
  const ESC = '\u001b';
  test('cannot forge a line of the output or of the log', async () => {
    const forged = 'serving {"port":22}';
    const names = [
      `x\n[2026-01-01 00:00:00] INFO: ${forged}`,
      `y\r${forged}`,
      `z${ESC}[2J${ESC}]0;${forged}\u0007`,
      'w\u2028forged',
      '-rf',
      'a:b',
      'a b',
      '%s',
    ];
    for (const name of names) await writeKeyFile(server, `repos/${name}`, client.key);
    const long = 'c'.repeat(10_000);
    await put('repos/commented', `${client.key.public} one\rtwo${ESC}[31m\u202e${long}\n`);
    await put('repos/garbage', `${ESC}[31m${long}\nssh-rsa ${ESC}]0;x\u0007\n`);
    const text = await update();
    const json = await update('--json');
    for (const name of names) await drop(`repos/${name}`);
    await drop('repos/commented');
    await drop('repos/garbage');
    await update();
    expect(text.exitCode).not.toBe(0);
    for (const out of [text.stdout, json.stdout, server.log()]) {
      expect(out).not.toMatch(/[^\P{C}\n]|[\u2028\u2029]/u);
    }
    expect(text.stdout.split('\n').filter((line) => line.startsWith('[2026-01-01'))).toEqual([]);
    expect(
      server
        .log()
        .split('\n')
        .filter((line) => line.startsWith('[2026-01-01')),
    ).toEqual([]);
    expect(
      Math.max(
        ...server
          .log()
          .split('\n')
          .map((line) => line.length),
      ),
    ).toBeLessThan(3000);
    expect(JSON.parse(json.stdout).findings.length).toBeGreaterThan(8);
  });

  test('and no private key, nor any of its lines, is ever shown', async () => {
    const secret = await readFile(client.key.private, 'utf8');
    await put('repos/mistake', secret);
    const { exitCode, stdout } = await update();
    expect(exitCode).toBe(1);
    expect(stdout).toContain('[private-key]');
    for (const line of secret.split('\n').filter((each) => each.length > 20 && !each.startsWith('-----'))) {
      expect(stdout + server.log()).not.toContain(line.slice(0, 30));
    }
    await drop('repos/mistake');
  });
});

describe('at the start', () => {
  const trees = {
    conflict: async (keys: string) => {
      await writeFile(join(keys, 'repos/web01'), `${client.key.public}\n`);
      await writeFile(join(keys, 'admins/web01'), `${client.key.public}\n`);
    },
    error: async (keys: string) => {
      await writeFile(join(keys, 'repos/web01'), `${client.key.public}\n`);
      await writeFile(join(keys, 'repos/web02'), 'ssh-ed25519 nonsense\n');
    },
  };
  const begin = (env: Record<string, string>, tree: (keys: string) => Promise<void>, ready: boolean) =>
    startServer({
      env,
      ready,
      prepare: async ({ sshkeys }) => {
        for (const role of ['repos', 'repos-appendonly', 'admins']) {
          await mkdir(join(sshkeys, role));
        }
        await tree(sshkeys);
      },
    });

  test.for([
    ['a conflict', 'conflict', {}, /conflicting-roles.*\/sshkeys\/admins\/web01/],
    ['a bad file with STOP_ON=errors', 'error', { STOP_ON: 'errors' }, /malformed-key.*\/sshkeys\/repos\/web02/],
  ] as const)('%s refuses the start, with the reasons', async ([, tree, env, reason]) => {
    const refused = await begin(env, trees[tree], false);
    try {
      expect(await refused.ended()).not.toBe(0);
      expect(refused.log()).toMatch(reason);
      expect(refused.log()).toMatch(/the server cannot start.*STOP_ON=nothing/);
    } finally {
      await refused.cleanup();
    }
  });

  test('STOP_ON=nothing closes only the names concerned', async () => {
    const open = await begin(
      { STOP_ON: 'nothing' },
      async (keys) => {
        await trees.conflict(keys);
        await writeFile(join(keys, 'repos/web03'), `${client.key.public}\n`);
      },
      true,
    );
    const visitor = await createClient(open);
    try {
      await writeKeyFile(open, 'repos/web03', visitor.key);
      const { exitCode } = await open.exec(['update-borgusers'], { reject: false });
      expect(exitCode).toBe(1);
      expect(await letsIn(visitor, 'web03')).toBe(true);
      expect((await open.exec(['cat', '/var/lib/extrausers/passwd'])).stdout).not.toContain('web01');
    } finally {
      await visitor.cleanup();
      await open.cleanup();
    }
  });
});
