import { access, chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { holdLock } from '../harness/held-lock.ts';
import { BASE_ENVIRONMENT, until } from '../harness/machine.ts';
import { run } from '../harness/program.ts';
import { GREETING, requests } from '../harness/raw-borg.ts';
import type { Server } from '../harness/server.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { type Actor, sshWith } from './scene.ts';
import { agree, judge } from './verdict.ts';

const COMMANDS: readonly (readonly string[])[] = [
  ['id'],
  [],
  ['borg --version; id'],
  ['sh', '-c', 'id'],
  ['/bin/sh -i'],
  ['borg --version\nid'],
  ['$(id)'],
  ['`id`'],
  ['cat /etc/passwd'],
  ['borg'],
  ['borg create /repos/web::x /etc'],
  ['python3 -c "print(1)"'],
  ['rsync --server --sender . /repos/neighbour-b'],
  ['update-borgusers'],
  ['borgserver update'],
];

export const shell: Try = async ({ client, account, column }) => {
  const verdicts: Record<string, Verdict> = {};
  const some = column === 'repo' ? COMMANDS.length : column === 'no key' ? 1 : 3;
  for (const words of COMMANDS.slice(0, some)) {
    const { stdout, stderr } = await client.ssh(account, words, { input: 'id\n', reject: false });
    // A plain shell that is first asked for a version may have no borg. That is no refusal.
    verdicts[words.join(' ')] = judge(stdout.includes('uid='), stderr);
    if (column !== 'control' && stdout !== '') throw new Error(`${words} answered ${stdout}`);
  }
  return agree(verdicts);
};

export const terminal: Try = async ({ client, account }) => {
  const { stdout, stderr } = await client.ssh(account, ['tty'], { flags: ['-tt'], input: '', reject: false });
  return judge(stdout.includes('/dev/pts'), stderr, /PTY allocation request failed/);
};

export const fileTransfer: Try = async (actor, { plain }) => {
  const { client, account, port, column, home } = actor;
  const [payload, stolen] = [join(client.home, 'payload'), join(client.home, 'stolen')];
  await writeFile(payload, 'payload');
  const flags = [...client.sshFlags(), '-P', String(port)];
  const remote = `${account}@127.0.0.1`;
  const [target, source] =
    column === 'control' ? [plain.folder, `${actor.victim}/config`] : [`/repos/${account}`, `${actor.victim}/config`];
  const scp = (mode: string, from: string, to: string) => ['scp', mode, ...flags, from, to] as const;
  const sftp = (...more: readonly string[]) => ['sftp', '-b', '/dev/null', ...flags, ...more, remote] as const;
  const attempts = [
    scp('-s', payload, `${remote}:${target}/payload`),
    scp('-O', `${remote}:${source}`, stolen),
    ...[sftp(), sftp('-s', 'internal-sftp'), sftp('-s', '/usr/lib/openssh/sftp-server')],
    ...[scp('-O', payload, `${remote}:${target}/payload`), scp('-s', `${remote}:${source}`, stolen)],
  ];
  const some = column === 'repo' ? attempts.length : 2;
  const verdicts: Record<string, Verdict> = {};
  for (const [program, ...words] of attempts.slice(0, some)) {
    const { exitCode, stdout, stderr } = await run(program, words, BASE_ENVIRONMENT, { reject: false });
    const came = (await readdir(home)).includes('payload') || (await there(stolen));
    verdicts[words.join(' ')] = judge(
      came || exitCode === 0,
      `${stdout}${stderr}`,
      /subsystem request failed|Connection closed/,
    );
    await rm(join(home, 'payload'), { force: true });
    await rm(stolen, { force: true });
  }
  return agree(verdicts);
};

/**
 * The variables that a session of the actor has, as the kernel shows them to the account itself (`ended` if the session ended before),
 * and what the client was told.
 *
 * @param flags of ssh, which count before those of the harness
 */
export const environmentOf = async (
  actor: Actor,
  server: Server,
  flags: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly variables: string; readonly said: string }> => {
  if (actor.column === 'control') {
    const { stdout, stderr } = await sshWith(actor, flags, ['env'], { env });
    return { variables: stdout, said: stderr };
  }
  const session = sshWith(actor, flags, ['borg serve'], { env, input: 'pipe' });
  let ended = false;
  session.then(() => {
    ended = true;
  });
  session.stdin?.write(requests());
  const look = ['sh', '-c', READ_ENVIRONMENTS, actor.account];
  const variables = await until('the session', async () => {
    if (ended) return 'ended';
    const { stdout } = await server.look(look, { reject: false });
    return stdout.includes('BORG_SELFTEST=') && stdout.includes('SSH_ORIGINAL_COMMAND=') ? stdout : undefined;
  });
  session.stdin?.end();
  const { stderr, stdout } = await session;
  return { variables, said: `${stderr}${stdout}` };
};

/** The kernel shows variables only to the same user and group. */
const READ_ENVIRONMENTS =
  'exec setpriv --reuid="$(id -u "$0")" --regid="$(id -g "$0")" --clear-groups sh -c "cat /proc/[0-9]*/environ"';

/** A session that opened, and so was not refused. */
const OPENED = /server_version/;

const EVIL = { BORG_HOST_ID: 'evil', BORG_BASE_DIR: '/evil', BORG_SELFTEST: 'evil', LD_PRELOAD: '/evil.so' } as const;
const MORE_EVIL = {
  PYTHONPATH: '/evil',
  PYTHONSTARTUP: '/evil',
  USER: 'evil',
  SSH_CONNECTION: 'evil',
  ENV: '/evil',
} as const;

export const environment: Try = async (actor, { server }) => {
  const pairs = Object.entries({ ...EVIL, ...MORE_EVIL }).map(([name, value]) => `${name}=${value}`);
  const set = await environmentOf(actor, server, ['-o', `SetEnv=${pairs.join(' ')}`], {});
  const sent = await environmentOf(actor, server, ['-o', 'SendEnv=BORG_* PYTHON*'], {
    BORG_HOST_ID: 'evil',
    PYTHONPATH: '/evil',
  });
  // The words before borg in --remote-path set a variable that would give the lock its name.
  if (actor.column === 'repo') {
    const words = ['--remote-path', 'BORG_HOST_ID=evil BORG_BASE_DIR=/evil borg'];
    const url = actor.client.url(actor.account);
    const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
    const held = await holdLock(server, actor.client, actor.account, url, { words, env });
    await held.release();
    if (!/^borgserver-[^/]+\.\d+-[0-9a-f]+$/.test(held.name)) throw new Error(`a lock of ${held.name}`);
  }
  return agree(
    Object.fromEntries(
      Object.entries({ set, sent }).map(([name, { variables, said }]) => [
        name,
        judge(variables.includes('evil'), said, OPENED),
      ]),
    ),
  );
};

export const rcFile: Try = async ({ client, account, column, home }, { server }) => {
  const [folder, proof] = [join(home, '.ssh'), join(home, 'rc-ran')];
  if (column !== 'control') {
    const { uid, gid } = await stat(home);
    await mkdir(folder);
    await writeFile(join(folder, 'rc'), 'touch "$HOME/rc-ran"; echo rc ran\n');
    await writeFile(join(folder, 'environment'), 'SSH_ORIGINAL_COMMAND=borg serve\n');
    await chmod(join(folder, 'rc'), 0o755);
    await server.exec(['chown', '-R', `${uid}:${gid}`, `/repos/${column === 'admin' ? '' : account}/.ssh`]);
  }
  try {
    await rm(proof, { force: true });
    const { stdout, stderr } = await client.ssh(account, ['borg', '--version'], { input: '', reject: false });
    return judge((await there(proof)) || stdout.includes('rc ran'), `${stdout}${stderr}`, /^borg \d/);
  } finally {
    if (column !== 'control') await rm(folder, { recursive: true });
  }
};

export const borgOptions: Try = async (actor, { plain }) => {
  const { column, account, client, home } = actor;
  const place = column === 'control' ? plain.folder : column === 'admin' ? '/repos' : `/repos/${account}`;
  const verdicts: Record<string, Verdict> = {};
  for (const words of [
    `borg serve --debug-profile ${place}/profile`,
    `borg serve --debug-profile=${place}/profile --`,
  ]) {
    const { stdout, stderr } = await client.ssh(account, [words], { input: requests(GREETING), reject: false });
    verdicts[words] = judge((await readdir(home)).includes(basename('profile')), `${stdout}${stderr}`, OPENED);
    await rm(join(home, 'profile'), { force: true });
    if (column === 'control') break;
  }
  return agree(verdicts);
};

/** Whether the file is there. */
export const there = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
