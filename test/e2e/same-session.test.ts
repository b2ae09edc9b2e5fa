import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import type { Running } from './harness/program.ts';
import { open, requests } from './harness/raw-borg.ts';
import { updated } from './harness/updated.ts';
import { borgsOf } from './isolation/processes.ts';
import { DIFFERENCES, type Found } from './same-session/differences.ts';

// A session that the session host has forked is the same as one that loads borg itself, in all that root, the kernel and borg see of it.
// Both run on one server: while a session starts cold the host's door has another name.

type Account = {
  readonly name: string;
  readonly key: string;
  readonly group: readonly [name: string, gid: number];
  /** How much the client wants to be told. */
  readonly level?: string;
};
const WEB: Account = { name: 'web', key: 'repos/web', group: ['borg-repo', 770] };
const ACCOUNTS: readonly Account[] = [
  WEB,
  { name: 'vault', key: 'repos-appendonly/vault', group: ['borg-appendonly', 771], level: '--info' },
  { name: 'fleet', key: 'repos/fleet', group: ['borg-repo-sub', 773], level: '--debug' },
  { name: 'ops', key: 'admins/ops', group: ['borg-admin', 772] },
  // A second admin, of the same user id: sessions are counted by account all the same.
  { name: 'boss', key: 'admins/boss', group: ['borg-admin', 772], level: '--critical' },
];
const OTHER = 'other';
const RUN = '/run/borgserver';
const DOORS = `${RUN}/sessions`;
const source = (name: string): Promise<string> => readFile(join(import.meta.dirname, 'same-session', name), 'utf8');

ownServer({ env: { SESSION_HOST: 'yes' } }, async () => {
  const keys = [...ACCOUNTS, { name: OTHER, key: `repos/${OTHER}` }];
  for (const { name, key } of keys) {
    const several = name === 'fleet' ? '# borgserver: sub-repositories=yes\n' : '';
    await mkdir(dirname(join(server.sshkeys, key)), { recursive: true });
    await writeFile(join(server.sshkeys, key), `${several}${client.key.public}\n`);
  }
  await updated(server);
  for (const name of ['web', 'vault', OTHER]) await client.borg(['init', '--encryption', 'none', client.url(name)]);
  await client.borg(['init', '--encryption', 'none', client.url('fleet', 'fleet/one')]);
});

/** Where borg's server begins to read what its client says. */
const CALL = `

begin = RepositoryServer.serve


def serve(self):
    from launcher import inside_session

    inside_session.tell(self)
    begin(self)


RepositoryServer.serve = serve
`;

const shell = (script: string, ...words: readonly string[]) => server.exec(['sh', '-c', script, ...words]);

/** Puts the probe beside the launcher, and has another host load it. victim: the pid of another account's session. */
const installProbe = async (victim: number): Promise<void> => {
  const places = ({ name, group }: Account) => ({
    ...{
      own: name === 'fleet' ? '/repos/fleet/one' : `/repos/${name === 'vault' ? 'vault' : 'web'}`,
      other: `/repos/${OTHER}`,
    },
    ...{
      run: RUN,
      door: `${DOORS}/${group[0]}/door`,
      role: group[1],
      pid: victim,
      port: server.port,
      abstract: ABSTRACT,
    },
  });
  const known = JSON.stringify(Object.fromEntries(ACCOUNTS.map((each) => [each.name, places(each)])));
  const script = `cd ${RUN}/launcher && printf %s "$0" >inside_session.py && printf %s "$1" >inside_session.json && printf %s "$2" >>install.py
    chmod 644 inside_session.*
    for each in $(grep -las '^borgserver: session host' /proc/[0-9]*/cmdline); do
      each=\${each%/cmdline}
      kill -KILL "\${each#/proc/}"
    done 2>/dev/null; true`;
  const again = server.log().split('the session host runs again').length;
  await shell(script, await source('inside_session.py'), known, CALL);
  await until('another host', () => server.log().split('the session host runs again').length > again);
};

/** The name of an abstract socket. `listening` listens there, outside of all boxes. All servers of one network share these names. */
const ABSTRACT = `borgserver-same-session-${process.pid}`;
const listening = async (): Promise<{ readonly listener: Running }> => {
  const script = `import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + sys.argv[1]); s.listen(); print('here', flush=True); sys.stdin.read()`;
  const listener = server.exec(['python3', '-I', '-c', script, ABSTRACT], { input: 'pipe', reject: false });
  const listens = new Promise((resolve) => listener.stdout?.once('data', resolve));
  await Promise.race([listens, listener.then((how) => Promise.reject(new Error(`it ended: ${JSON.stringify(how)}`)))]);
  return { listener };
};

type Held = { readonly found: Found; readonly ssh: Running };

/** One session that has answered its client, and what it is. */
const hold = async (account: Account, outside: string): Promise<Held> => {
  const ssh = client.ssh(account.name, ['borg', 'serve', ...(account.level ? [account.level] : [])], {
    input: 'pipe',
    reject: false,
  });
  let said = '';
  ssh.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  ssh.stdin?.write(requests());
  const answered = until(`the answer to ${account.name}`, () => said.includes('server_version'));
  await Promise.race([answered, ssh.then((how) => Promise.reject(new Error(`it ended: ${JSON.stringify(how)}`)))]);
  const inside = JSON.parse(said.slice(0, said.indexOf('\n')));
  // This runs as the account, which may look at its own processes.
  const become = `exec setpriv --reuid="$(id -u "$0")" --regid="$(sed -n 's/^Gid:.//p' /proc/$1/status | cut -f 1)" --clear-groups python3 -I -c "$2" "$1"`;
  const { stdout } = await shell(become, account.name, String(inside.pid), outside);
  return { ssh, found: flat({ ...inside.found, ...JSON.parse(stdout) }) };
};

/** An object in an object becomes several names; a list stays one value. */
const flat = (found: object, deep = 2): Found =>
  new Map(
    Object.entries(found).flatMap(([name, value]): (readonly [string, string])[] =>
      deep > 1 && value !== null && typeof value === 'object' && !Array.isArray(value)
        ? [...flat(value, deep - 1)].map(([below, each]) => [`${name}.${below}`, each] as const)
        : [[name, typeof value === 'string' ? value : JSON.stringify(value)]],
    ),
  );

const leave = async (held: readonly Held[]): Promise<void> => {
  for (const { ssh } of held) ssh.stdin?.end();
  for (const { ssh } of held) await ssh;
};

const rename = (from: string, to: string) =>
  shell(`for each in ${DOORS}/*/; do mv "$each$0" "$each$1"; done`, from, to);

/** The differences that are not in the list. */
const compare = ({ name, group }: Account, cold: Found, hosted: Found): readonly string[] =>
  [...new Set([...cold.keys(), ...hosted.keys()])].flatMap((each) => {
    const [before, after] = [cold.get(each) ?? '', hosted.get(each) ?? ''];
    if (before === after) return [];
    const known = DIFFERENCES.find((one) => (typeof one.name === 'string' ? one.name === each : one.name.test(each)));
    if (known && known.is?.(before, after, { group: group[1] }) !== false) return [];
    return [`${name}: ${each} is ${JSON.stringify(after)}, cold ${JSON.stringify(before)}`];
  });

const differences = async (): Promise<readonly string[]> => {
  const other = client.ssh(OTHER, ['borg', 'serve'], { input: 'pipe', reject: false });
  const answered = new Promise((resolve) => other.stdout?.once('data', resolve));
  other.stdin?.write(requests(open(`/repos/${OTHER}`, { lock: false })));
  await answered;
  const [victim] = await borgsOf(server, OTHER);
  await installProbe(victim?.pid ?? 0);
  const outside = await source('outside_session.py');
  const { listener } = await listening();
  // All are open at once, so that the second session of one account stands back, and no other. They begin one after another: an admin tries
  // the same in a folder as the account of the folder, and one would find what the other has just made.
  const all = async (): Promise<readonly Held[]> => {
    const held: Held[] = [];
    for (const each of [...ACCOUNTS, WEB]) held.push(await hold(each, outside));
    return held;
  };
  const hosted = await all();
  await leave(hosted);
  await rename('door', 'door.away');
  const cold = await all();
  await leave(cold);
  await rename('door.away', 'door');
  for (const each of [listener, other]) each.stdin?.end();
  await Promise.all([listener, other]);
  const found = [...ACCOUNTS, WEB].flatMap((each, index) =>
    compare(each, cold[index]?.found ?? new Map(), hosted[index]?.found ?? new Map()),
  );
  const areHosted = (held: readonly Held[]) => held.map(({ found }) => found.get('words')?.includes(' --hosted '));
  expect([...new Set(areHosted(hosted)), ...new Set(areHosted(cold))]).toEqual([true, false]);
  // One example of what is compared: the second session stands back.
  expect([...ACCOUNTS, WEB].map((_, index) => cold[index]?.found.get('nice'))).toEqual(['0', '0', '0', '0', '0', '1']);
  return found;
};

test('in each role a hosted session differs from a cold one only in what is in the list', async () => {
  expect(await differences()).toEqual([]);
});

test('the same holds where all accounts share one user id', async () => {
  await server.start({ SESSION_HOST: 'yes', IDENTITIES: 'shared' });
  await client.rememberHost();
  await updated(server);
  expect(await differences()).toEqual([]);
});
