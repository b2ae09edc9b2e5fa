import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { wayTo } from '../bench/session.ts';
import { lookWithoutZombies } from '../soak/server-processes.ts';
import { logged } from './harness/json-log.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { BASE_ENVIRONMENT, until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { type Finished, run } from './harness/program.ts';
import { type Call, open, requests } from './harness/raw-borg.ts';
import { sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';

// A crowd logs in while the session host is killed again and again. What a client hears of a session whose host has died:
// docs/session-host.md, "What goes wrong".

/** RESTART_SESSIONS=500 for the record. The test then prints the figures. */
const GIVEN = process.env.RESTART_SESSIONS;
const SESSIONS = Number(GIVEN ?? 60);
/** Sessions of one account, as many as it may have. So a session that is over and still counted would keep another one out. */
const MOST = 10;
const ACCOUNTS = Array.from({ length: Math.ceil(SESSIONS / MOST) }, (_, index) => `crowd${index}`);
/** More than one read(2) takes: a second reader of the stream would take some of them away. */
const OBJECTS = 40;
/** Where the host dies more often, the daemon waits a while before it starts it again. */
const KILLS = 2;
/** Seconds. These tests do not ask how long a client waits for its turn to log in. */
const PATIENCE = 1800;
const ENV = {
  // It counts the server's processes, and a snapshot is one.
  SNAPSHOT_KEEP: 'no',
  ...{ RESYNC_SECONDS: '86400', LOG_FORMAT: 'json', SESSION_HOST: 'yes', SESSIONS_PER_ACCOUNT: String(MOST) },
  // Half of MAX_STARTUPS may come from one address.
  ...{ LOGIN_GRACE_TIME: String(PATIENCE), MAX_STARTUPS: String(2 * MOST * ACCOUNTS.length) },
};
const LONG = 300_000 + SESSIONS * 3000;

ownServer({ env: ENV });

const idOf = (number: number): Buffer => Buffer.from(`${number}`.padEnd(32, '.'));
const dataOf = (account: string, number: number): string => `${account} has ${number};`.padEnd(1000, 'x');
const range = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);

/** Many sessions share a repository. Each waits until another one lets go of its lock. borg looks ten times in that many seconds. */
const openShared = (account: string): Call => open(`/repos/${account}`, { lock_wait: 60 });
const FILLED = (account: string): Uint8Array =>
  requests(
    open(`/repos/${account}`, { create: true, exclusive: true }),
    ...range(OBJECTS).map((number): Call => ['put', { id: idOf(number), data: Buffer.from(dataOf(account, number)) }]),
    ['commit', { save_space: false, compact: false, threshold: 0 }],
  );
const ASKED = (account: string): Uint8Array =>
  requests(openShared(account), ...range(OBJECTS).map((number): Call => ['get', { id: idOf(number) }]));

/** A login. What it says to borg is sent at once, and borg's answers are heard as bytes. */
const logIn = (account: string, input: Uint8Array | 'pipe') => {
  const way = ['-o', `ConnectTimeout=${PATIENCE}`, ...wayTo(client, server, account)];
  const ssh = run('ssh', way, BASE_ENVIRONMENT, { input, reject: false });
  let said = '';
  ssh.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  return { account, ssh, said: () => said };
};

/** What is wrong with the answers of a session that was asked for all objects. Each has to come once, and from its own repository. */
const faultsOf = (account: string, said: string): readonly string[] => {
  const times = (text: string): number => said.split(text).length - 1;
  // The answers to the greeting, to `open`, and to the request for each object.
  const answers = range(OBJECTS + 2).filter((index) => times(`\xa1i${String.fromCharCode(index + 1)}\xa1r`) !== 1);
  const data = range(OBJECTS).filter((number) => times(dataOf(account, number)) !== 1);
  return [
    ...(said.includes('server_version') ? [] : ['no greeting']),
    ...(said.includes('exception') ? ['an exception'] : []),
    ...(answers.length > 0 ? [`no answer, or two, to request ${answers.map((index) => index + 1)}`] : []),
    ...(data.length > 0 ? [`object ${data} is missing, or came twice`] : []),
  ];
};

/**
 * Kills the session host each time that it has forked a few more sessions. Sometimes these are none: then the host dies while it starts. Prints
 * how many sessions each host has left behind: "killed HOST SESSIONS". Ends with its standard input.
 */
const KILLER = `
  $| = 1;
  my ($few) = @ARGV;
  sub content { open my $file, '<', $_[0] or return ''; local $/; <$file> // '' }
  sub numbers { split ' ', content $_[0] }
  sub over { my $in = ''; vec($in, 0, 1) = 1; select $in, undef, undef, 0.002 }
  my ($daemon) = numbers '/proc/1/task/1/children';
  my ($host, %told) = 0;
  my $children = sub { grep { $_ != $daemon } numbers("/proc/$host/task/$host/children"), numbers '/proc/1/task/1/children' };
  while (1) {
    my ($enough, %seen) = int(rand 4) ? int rand $few : 0;
    do {
      exit if over;
      ($host) = grep { content("/proc/$_/cmdline") =~ /session.host/ } map { numbers $_ } glob "/proc/$daemon/task/*/children";
      $seen{$_} = 1 for $host ? numbers "/proc/$host/task/$host/children" : ();
    } until $host && keys %seen >= $enough;
    # It stands still before it is looked at: on a busy machine it would fork some more between the look and its end.
    kill 'STOP', $host;
    1 while content("/proc/$host/stat") =~ /\\) [^TZX] /;
    my %left = map { $_ => 1 } $children->();
    kill 'KILL', $host;
    1 while content("/proc/$host/stat") =~ /\\) [^Z] /;
    $left{$_} = 1 for $children->();
    print "killed $host ", scalar(grep { !$told{$_}++ } keys %left), "\\n";
  }
`;
/** A host has fewer sessions than this when it is killed. */
const FEW = Math.ceil(SESSIONS / 5);

/** Starts the killer. `left` says how many sessions each killed host has left; `end` ends the killer and says the same. */
const killAgainAndAgain = () => {
  const killer = server.exec(['perl', '-e', KILLER, String(FEW)], { input: 'pipe' });
  let said = '';
  killer.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const left = (): readonly number[] => [...said.matchAll(/^killed \d+ (\d+)$/gm)].map(([, count]) => Number(count));
  const end = async (): Promise<readonly number[]> => {
    killer.stdin?.end();
    await killer;
    return left();
  };
  return { left, end };
};

/** As many logins as each account may have, of all accounts, in one instant. */
const crowd = async (): Promise<
  readonly (Finished & { readonly account: string; readonly faults: readonly string[] })[]
> => {
  const begun = ACCOUNTS.flatMap((account) => range(MOST).map(() => logIn(account, ASKED(account))));
  const waiting = new Set(begun);
  const found = begun.map(async (each) => {
    const how = await each.ssh;
    waiting.delete(each);
    return { ...how, stdout: '', account: each.account, faults: faultsOf(each.account, each.said()) };
  });
  await until('every client to end', () => waiting.size === 0, LONG).catch((cause: unknown) => {
    const left = [...waiting].map(({ account, said }) => `${account} (${said().length} bytes)`).join(', ');
    throw new Error(`these clients do not end: ${left}`, { cause });
  });
  return Promise.all(found);
};

/** Every process of an account, as the kernel shows it. */
const ofAccounts = async (): Promise<readonly string[]> => {
  const script = `for each in /proc/[0-9]*; do
    uid=$(sed -n 's/^Uid:[^0-9]*\\([0-9]*\\).*/\\1/p' "$each/status") && [ "\${uid:-0}" -ge 10000 ] && [ "$uid" -lt 60000 ] &&
      echo "\${each#/proc/} $(tr '\\0' ' ' <"$each/cmdline")"
  done 2>/dev/null; true`;
  return (await server.look(['sh', '-c', script])).stdout.split('\n').filter(Boolean);
};

const locks = async (): Promise<readonly string[]> => {
  const all = await Promise.all(
    ACCOUNTS.map(async (name) => (await readdir(join(server.repos, name))).map((file) => `${name}/${file}`)),
  );
  return all.flat().filter((path) => /\/lock\.(exclusive|roster)$/.test(path));
};

/** How many lines of the log there are for each account. */
const linesOf = (message: string): ReadonlyMap<string, number> =>
  new Map(ACCOUNTS.map((name) => [name, logged(server, message).filter(({ account }) => account === name).length]));
const each = (count: number): ReadonlyMap<string, number> => new Map(ACCOUNTS.map((name) => [name, count]));

/** Once the host is there again, and nothing runs. */
const rested = () =>
  until('the server to rest', async () => {
    const { host, ...found } = await lookWithoutZombies(server);
    return host?.sessions === 0 && (await ofAccounts()).length === 0 && { ...found, host };
  });

/** If the owner of a lock has just given it back and ended, another borg takes the lock for stale. It finds it gone, says so, and goes on. */
const withoutStaleLocks = (stderr: string): string =>
  stderr.replace(/^.*Found stale lock .* but cannot delete due to .*\n/gm, '');

test(`all of ${SESSIONS} clients are served while the session host is killed again and again, and nothing is left of them`, {
  timeout: 2 * LONG,
}, async () => {
  for (const account of ACCOUNTS) await writeKeyFile(server, `repos/${account}`, client.key);
  await updated(server);
  for (const account of ACCOUNTS) expect((await logIn(account, FILLED(account)).ssh).exitCode).toBe(0);
  const before = await rested();

  const begun = performance.now();
  const killing = killAgainAndAgain();
  const found = [];
  let crowds = 0;
  for (; crowds === 0 || killing.left().length < KILLS; crowds += 1) found.push(...(await crowd()));
  const took = performance.now() - begun;
  const left = await killing.end();
  const orphans = left.reduce((sum, count) => sum + count, 0);

  expect(found.filter(({ faults }) => faults.length > 0)).toEqual([]);
  // Only a client whose host has died does not hear how its session has ended.
  const unheard = found.filter(({ exitCode }) => exitCode !== 0);
  const said = new Set(unheard.map(({ exitCode, stderr }) => `${exitCode} ${withoutStaleLocks(stderr)}`));
  expect(said.difference(new Set(['1 ']))).toEqual(new Set());
  // A host may fork one session in its last instant. If that has ended by the next look, the killer has not counted it.
  expect(unheard.length).toBeLessThanOrEqual(orphans + left.length);

  const after = await rested();
  await until('nobody to be known any more', async () => (await sessionsOf(server)).length === 0);
  await until(
    'all ends to be in the log',
    () => logged(server, 'session closed').length >= ACCOUNTS.length * (crowds * MOST + 1),
  );
  expect(linesOf('session opened')).toEqual(each(crowds * MOST + 1));
  expect(linesOf('session closed')).toEqual(each(crowds * MOST + 1));
  expect(await locks()).toEqual([]);
  expect(after.files).toBeLessThanOrEqual(before.files);
  expect(after.processes).toBe(before.processes);
  expect(after.host.files).toBeLessThanOrEqual(before.host.files);
  const hosted = logged(server, 'session closed').filter(({ cpuSeconds }) => cpuSeconds !== undefined).length;
  if (GIVEN)
    console.log(
      JSON.stringify({
        ...{ clients: found.length, seconds: Math.round(took / 1000), kills: left.length, orphans },
        ...{ unheard: unheard.length, heardFromTheHost: hosted - ACCOUNTS.length, before, after },
        secondsWithout: logged(server, 'the session host runs again').map(({ seconds }) => seconds),
      }),
    );
});

test('none of those sessions counts any more, and sessions that a dead host has left count together with new ones', async () => {
  const [account = ''] = ACCOUNTS;
  const stay = async () => {
    const session = logIn(account, 'pipe');
    session.ssh.stdin?.write(requests(openShared(account)));
    await until('it to be served', () => session.said().includes('\xa1i\x02\xa1r'));
    return session;
  };
  const some = (count: number) => Promise.all(range(count).map(stay));
  const { host } = await rested();
  const hosted = await some(MOST - 5);
  await server.exec(['kill', '-KILL', String(host.pid)]);
  const meanwhile = await some(2);
  await until('another host', async () => (await lookWithoutZombies(server)).host?.pid !== host.pid);
  const later = await some(3);
  const beyond = await logIn(account, ASKED(account)).ssh;
  expect([beyond.exitCode === 0, beyond.stdout, beyond.stderr]).toEqual([
    false,
    '',
    expect.stringContaining('SESSIONS_PER_ACCOUNT'),
  ]);
  for (const { ssh } of [...hosted, ...meanwhile, ...later]) ssh.stdin?.end();
  const codes = async (of: typeof hosted) => Promise.all(of.map(async ({ ssh }) => (await ssh).exitCode));
  expect(await codes(hosted)).toEqual(hosted.map(() => 1));
  expect(await codes([...meanwhile, ...later])).toEqual([...meanwhile, ...later].map(() => 0));
  await rested();
});
