import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { shellQuote } from '../../src/borg/serve-arguments.ts';
import { CHEAP_KEY_EXCHANGE, type Key } from './harness/client.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { BASE_ENVIRONMENT } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { TEST_PATIENCE_MS } from './harness/patience.ts';
import { type Finished, type ProgramOptions, type Running, run } from './harness/program.ts';
import { open, requests } from './harness/raw-borg.ts';
import { contents } from './harness/repository-files.ts';
import { updated } from './harness/updated.ts';
import { COMMIT } from './isolation/scene.ts';

let admin: Key;
let logger: Key;

ownServer({}, async () => {
  admin = await client.newKey();
  logger = await client.newKey();
  await writeKeyFile(server, 'repos/web01', client.key);
  await writeKeyFile(server, 'repos-appendonly/db01', logger);
  await writeKeyFile(server, 'admins/alice', admin);
  await updated(server);
});

/** What the server prints. Its port is not given: the server has to know it. */
const print = async (name: string, key: Key, ...words: string[]): Promise<string> =>
  (await server.exec(['borgserver', 'client', name, '--host', '127.0.0.1', '--identity', key.private, ...words]))
    .stdout;

const SSH = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();

/** A machine of somebody who has never seen the server: a home with a space in its name, and nothing of borg's in it. */
const newcomer = async (name: string) => {
  const home = join(client.home, name);
  await mkdir(join(home, 'documents'), { recursive: true });
  await writeFile(join(home, 'documents/letter'), 'the letter');
  // The harness' own client does the same: the printed texts start borg and ssh two hundred times.
  await mkdir(join(home, 'cheap'));
  await writeFile(join(home, 'cheap/ssh'), `#!/bin/sh\nexec ${SSH} -o ${CHEAP_KEY_EXCHANGE} "$@"\n`, { mode: 0o755 });
  const PATH = `${join(home, 'cheap')}:${BASE_ENVIRONMENT.PATH}`;
  const env = { ...BASE_ENVIRONMENT, PATH, HOME: home, BORG_SELFTEST: 'disabled' };
  return {
    home,
    sh: (text: string, options: ProgramOptions = {}): Running =>
      run('sh', ['-e', '-c', text], env, { cwd: home, ...options }),
  };
};

/** Lets a shell go on as soon as the clock shows another second. */
const NEXT_SECOND = 'now=$(date +%s); while [ $now = $(date +%s) ]; do sleep 0.05; done';

/** Of the archives of one day prune keeps the last. Where there are few archives, it keeps the oldest of all, too. */
const prunedByHost = (stdout: string): void => {
  const left = stdout.split('left:\n')[1]?.trim().split('\n') ?? [];
  expect(left.filter((name) => /^twin-2-/.test(name))).toHaveLength(2);
  expect(left.filter((name) => /^twin-2\d{3}-/.test(name))).toHaveLength(2);
  expect(left.filter((name) => name.startsWith('*-'))).toHaveLength(1);
};

/** What systemd would run for this instance of the service, as commands of a shell, with /etc below `home`. */
const asSystemd = async (text: string, instance: string, home: string): Promise<string> => {
  const files = new Map(
    [...text.matchAll(/^# (\/\S+)\n(.*?)(?=^# \/|^# systemctl|$(?![\s\S]))/gms)].map(([, path = '', content = '']) => [
      path,
      content,
    ]),
  );
  const below = (words: string): string =>
    words.replaceAll(/\/(?:etc\/(?:borg|ssh)|var\/lib\/borg-prune)\/(\S+?)(?="| |$)/gm, (_, name: string) =>
      join(home, name).replaceAll(' ', '\\ '),
    );
  for (const [path, content] of files)
    if (!path.endsWith('.service')) await writeFile(join(home, path.split('/').at(-1) ?? ''), content);
  const service = files.get('/etc/systemd/system/borg-prune@.service') ?? '';
  // systemd.exec(5): specifiers. The text has no dollar, and its quotes mean the same to a shell.
  const lines = below(service.replaceAll('%i', instance).replaceAll('%%', '%')).split('\n');
  const valuesOf = (name: string) =>
    lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
  const hosts = `UserKnownHostsFile=\\"${join(home, 'ssh_known_hosts')}\\"`;
  return [
    ...valuesOf('Environment').map((words) => `export ${words}`),
    `export BORG_RSH="$BORG_RSH -o '${hosts}' -o GlobalKnownHostsFile=none"`,
    ...valuesOf('ExecStart').map((words) => words.replace('/usr/bin/borg', 'borg')),
  ].join('\n');
};

/** A thief with the client's key deletes an archive, or the data of one. The admin's job does not make that final. */
const keepsWhatThievesDelete = async (
  passphrase: string,
  job: () => Promise<Finished>,
  seen: string,
): Promise<void> => {
  const borg = (...words: string[]) => client.borg(words, { key: logger, env: { BORG_PASSPHRASE: passphrase.trim() } });
  const expectKept = async (said: RegExp): Promise<void> => {
    const before = await contents(join(server.repos, 'db01/data'));
    const { stdout, stderr } = await job();
    expect(`${stdout}${stderr}`).toMatch(said);
    expect([...(await contents(join(server.repos, 'db01/data'))).keys()]).toEqual(
      expect.arrayContaining([...before.keys()]),
    );
  };
  const [first = ''] = (await borg('list', '--short', client.url('db01'))).stdout.split('\n');
  await borg('delete', `${client.url('db01')}::${first}`);
  await expectKept(/archives of this list are gone/);

  // Also where the job has seen nothing before: the server has.
  await rm(seen);
  await expectKept(/db01 is not compacted: an append-only client deleted what stood there/);
  expect((await borg('list', '--short', client.url('db01'))).stdout).not.toBe('');

  // The admin has looked, and accepts what is there.
  const accept = async () => {
    await rm(seen, { force: true });
    await server.exec(['borgserver', 'history', 'db01', '--seen'], { reject: false });
    expect((await job()).stderr).not.toMatch(/Nothing is pruned|Prune would keep/);
  };
  await accept();
  for (const date of ['2020-01-01', '2099-01-01']) {
    await borg('create', '--timestamp', `${date}T00:00:00`, `${client.url('db01')}::of-${date}`, '/etc/hostname');
    await expectKept(/dates before the last of this list, or in the future/);
    await borg('delete', `${client.url('db01')}::of-${date}`);
  }
  await accept();
  const [chunk = ''] = (await borg('list', '--last', '1', '--format', '{id}{NL}', client.url('db01'))).stdout.split(
    '\n',
  );
  const raw = [
    open('/repos/db01', { exclusive: true }),
    ['put', { id: Buffer.from(chunk, 'hex'), data: 'something else' }],
    COMMIT,
  ] as const;
  await client.ssh('db01', ['borg', 'serve'], { key: logger, input: requests(...raw) });
  await expectKept(/integrity|Finished with errors|problems found/i);
};

const refusal = (words: readonly string[]): Promise<Finished> =>
  server.exec(['borgserver', 'client', ...words], { reject: false });

describe('the shell text', () => {
  test('run as a whole, makes the repository, backs up, restores, prunes, compacts and checks, and asks nothing', async () => {
    const { home, sh } = await newcomer('home of web01');
    const text = await print('web01', client.key);
    expect(text).toContain('StrictHostKeyChecking=yes');
    expect(text).toContain('borg compact');
    const { stdout } = await sh(`${text}\nborg extract --stdout "::$borg_archive" "\${HOME#/}/documents/letter"`);
    expect(stdout).toMatch(/restored in .*the letter$/s);
    const folder = join(home, `.config/borgserver/web01@127.0.0.1-${server.port}`);
    expect(await readFile(join(folder, 'key'), 'utf8')).toContain('BORG_KEY');
  });

  test('connects to no server that has another host key', async () => {
    const { sh } = await newcomer('deceived');
    const text = await print('web01', client.key);
    const other = (await client.newKey()).public.split(' ').slice(0, 2).join(' ');
    const deceived = text.replaceAll(/^(\[127\.0\.0\.1\]:\d+) .*$/gm, `$1 ${other}`);
    expect(deceived).not.toBe(text);
    // The text runs only up to BORG_RSH, and then ssh by itself: borg does not hand on why ssh gave up.
    const login = `eval "$BORG_RSH -p ${server.port} web01@127.0.0.1 borg --version"`;
    const connecting = (all: string): string => all.slice(0, all.indexOf('export BORG_REPO'));
    expect((await sh(`${connecting(text)}\n${login}`)).stdout).toMatch(/^borg /);
    const { exitCode, stderr } = await sh(`${connecting(deceived)}\n${login}`, { reject: false });
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/host key/i);
  });

  test('leaves compact out for an append-only account, and an admin’s texts prune and compact its repository', {
    // Some two hundred runs of borg, one after the other.
    timeout: 4 * TEST_PATIENCE_MS,
  }, async () => {
    const { sh } = await newcomer('home of db01');
    const text = await print('db01', logger);
    expect(text).not.toMatch(/^borg compact/m);
    expect(text).toContain('append-only');
    const again = text.split('\n').find((line) => line.startsWith('borg create')) ?? 'false';
    // Two hosts share the repository, and the name of one begins like the other's. A third host has a name that means all.
    // An archive's name has the second in it.
    const shared = ['twin', 'twin', 'twin', 'twin-2', 'twin-2', 'twin-2', '*'].map(
      (host) =>
        `unshare --uts sh -ec 'python3 -c "import socket; socket.sethostname(\\"${host}\\")"; ${NEXT_SECOND}; eval "$0"' ${shellQuote(again)}`,
    );
    await sh([text, ...shared].join('\n'));
    const passphrase = await readFile(
      join(client.home, `home of db01/.config/borgserver/db01@127.0.0.1-${server.port}/passphrase`),
      'utf8',
    );

    const before = join(server.repos, 'before');
    await run('cp', ['-a', join(server.repos, 'db01'), before], BASE_ENVIRONMENT);
    const { home, sh: asAdmin } = await newcomer('home of alice');
    const passphrases = join(home, `.config/borgserver/alice@127.0.0.1-${server.port}/passphrases`);
    await mkdir(passphrases, { recursive: true });
    await writeFile(join(passphrases, 'db01'), passphrase);
    const job = await print('alice', admin);
    const { stdout } = await asAdmin(`${job}\necho "left:"; borg_on db01 list --short`);
    expect(stdout).toContain('== db01');
    prunedByHost(stdout);
    await keepsWhatThievesDelete(
      passphrase,
      () => asAdmin(job, { reject: false }),
      join(passphrases, '../archives/db01'),
    );

    // The same with systemd's units, from the same state, on a machine that has seen nothing of it.
    await run('rm', ['-r', join(server.repos, 'db01')], BASE_ENVIRONMENT);
    await run('mv', [before, join(server.repos, 'db01')], BASE_ENVIRONMENT);
    // What is found by the first does not count as seen.
    for (let times = 0; times < 2; times += 1)
      await server.exec(['borgserver', 'history', 'db01', '--seen'], { reject: false });
    const { home: other, sh: bySystemd } = await newcomer('another home of alice');
    await writeFile(join(other, 'db01.passphrase'), passphrase);
    const units = await asSystemd(await print('alice', admin, '--format', 'systemd'), 'db01', other);
    prunedByHost((await bySystemd(`${units}\necho "left:"; borg list --short`)).stdout);
    await keepsWhatThievesDelete(passphrase, () => bySystemd(units, { reject: false }), join(other, 'db01'));
  });
});

describe('the other texts', () => {
  test('known-hosts holds every host key, and no other', async () => {
    const lines = (await print('web01', client.key, '--format', 'known-hosts')).trim().split('\n');
    const known = (await readFile(join(client.home, '.ssh/known_hosts'), 'utf8')).trim().split('\n');
    const word = (line: string) => line.split(' ').slice(0, 3).join(' ');
    expect(lines.map(word).sort()).toEqual(known.map(word).sort());
    expect(lines).toHaveLength(3);
  });

  test('ssh-config and known-hosts together let borg in under the alias', async () => {
    const { home, sh } = await newcomer('aliased');
    const config = join(home, 'config');
    const hosts = join(home, 'hosts');
    await writeFile(config, await print('web01', client.key, '--format', 'ssh-config'));
    await writeFile(hosts, await print('web01', client.key, '--format', 'known-hosts'));
    await chmod(config, 0o600);
    const { stdout } = await sh(
      `ssh -F "${config}" -o 'UserKnownHostsFile="${hosts}"' -o GlobalKnownHostsFile=none -o BatchMode=yes borg-web01 borg --version`,
    );
    expect(stdout).toMatch(/^borg /);
  });

  test('env is all that borg needs besides the known host, once a shell has sourced it', async () => {
    const { home, sh } = await newcomer('sourced');
    const hosts = join(home, 'hosts');
    await writeFile(hosts, await print('web01', client.key, '--format', 'known-hosts'));
    await writeFile(join(home, 'borg.env'), await print('web01', client.key, '--format', 'env'));
    const { stdout } = await sh(
      `set -a; . ./borg.env; BORG_RSH="$BORG_RSH -o 'UserKnownHostsFile=\\"${hosts}\\"'"; borg with-lock :: echo reached`,
    );
    expect(stdout).toBe('reached\n');
  });
});

describe('borgserver client refuses', () => {
  test('to guess the name of the server', async () => {
    const { exitCode, stdout, stderr } = await refusal(['web01']);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain('PUBLIC_HOST');
  });

  test('an account that is not there, and names those with similar names', async () => {
    const { exitCode, stdout, stderr } = await refusal(['web02', '--host', 'backup.example.org']);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain('(near: web01)');
  });

  test('a backup job for an admin without a repository', async () => {
    const { exitCode, stderr } = await refusal(['alice', '--host', 'h', '--format', 'borgmatic']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--repository NAME');
  });

  test('the repository of another account', async () => {
    const { exitCode, stderr } = await refusal(['web01', '--host', 'h', '--repository', 'db01']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('may not use /repos/db01');
  });
});

test('without --host and --port the text has PUBLIC_HOST and PUBLIC_PORT', async () => {
  await server.start({ PUBLIC_HOST: '2001:db8::1', PUBLIC_PORT: '2022' });
  const { stdout } = await server.exec(['borgserver', 'client', 'web01', '--format', 'env']);
  expect(stdout).toContain("BORG_REPO='ssh://web01@[2001:db8::1]:2022/repos/web01'");
});
