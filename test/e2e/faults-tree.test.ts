import { lstat, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import type { Key } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn, lockedOut } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { connected } from './harness/sessions.ts';
import { fromOutside } from './harness/small-disk.ts';

let other: Key;

ownServer({ env: { RESYNC_SECONDS: '1', STOP_ON: 'nothing' } }, async () => {
  other = await client.newKey();
  await writeKeyFile(server, 'repos/web01', client.key);
  await writeKeyFile(server, 'repos/web02', client.key);
  await writeKeyFile(server, 'admins/ops', client.key);
  await grant(server, 'repos-appendonly/db01', client.key);
});

beforeEach(async () => {
  // An earlier test may have left a link here. A test must never write through it.
  expect((await lstat(join(server.repos, 'web01'))).isDirectory()).toBe(true);
});

const PASSWD = '/var/lib/extrausers/passwd';
const inside = async (script: string): Promise<string> => (await server.exec(['sh', '-c', script])).stdout;
const inTree = (path: string): string => join(server.sshkeys, path);
const update = async () => {
  const { stdout, stderr } = await server.exec(['update-borgusers', '--json'], { reject: false });
  if (stdout === '') throw new Error(`no update: ${stderr}`);
  return JSON.parse(stdout);
};
const removals = (): number => (server.log().match(/account-removed|key-removed/g) ?? []).length;

/** Calls `away` and `back` in turns, 50 ms apart, while it asks for updates again and again. The last call is `back`. */
const flap = async (away: () => unknown, back: () => unknown, milliseconds = 2000): Promise<void> => {
  const end = performance.now() + milliseconds;
  const flapping = (async () => {
    while (performance.now() < end) {
      await away();
      await setTimeout(50);
      await back();
      await setTimeout(50);
    }
  })();
  const asking = (async () => {
    while (performance.now() < end) await update();
  })();
  const [one, two] = await Promise.allSettled([flapping, asking]);
  expect([one, two]).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
};

test('a role folder that is moved away and back again and again costs nobody a session or a key, and gives nobody anything', async () => {
  const sessions = await Promise.all(
    ['web01', 'db01', 'ops'].map((name) => connected(server, client, name, client.key)),
  );
  const [passwd, lost] = [await inside(`cat ${PASSWD}`), removals()];
  await flap(
    () => rename(inTree('repos'), inTree('.repos-away')),
    () => rename(inTree('.repos-away'), inTree('repos')),
  );
  expect(await inside(`cat ${PASSWD}`)).toBe(passwd);
  expect(removals()).toBe(lost);
  expect(sessions.map((session) => session.over())).toEqual([false, false, false]);
  for (const session of sessions) session.ssh.kill();
  await writeKeyFile(server, 'repos/web02', other);
  await lockedOut(client, 'web02');
  expect(await letsIn(client, 'web02', other)).toBe(true);
  await grant(server, 'repos/web02', client.key);
});

test('a key tree that is unmounted and mounted again and again costs nobody a session or a key', async () => {
  const session = await connected(server, client, 'web01', client.key);
  const [passwd, lost] = [await inside(`cat ${PASSWD}`), removals()];
  const outside = fromOutside(server);
  await flap(
    () => outside(['mount', '-t', 'tmpfs', 'none', '/sshkeys']),
    () => outside(['umount', '--lazy', '/sshkeys']),
  );
  expect((await update()).findings.filter(({ severity }: { severity: string }) => severity === 'error')).toEqual([]);
  expect(await inside(`cat ${PASSWD}`)).toBe(passwd);
  expect(removals()).toBe(lost);
  expect(session.over()).toBe(false);
  session.ssh.kill();
  await rm(inTree('repos/web02'));
  await lockedOut(client, 'web02');
  await grant(server, 'repos/web02', client.key);
});

test('while a folder cannot be read, nobody gets one of its names in another folder', async () => {
  await rename(inTree('repos'), inTree('.repos-away'));
  await writeKeyFile(server, 'admins/web01', other);
  for (const _again of [1, 2, 3]) {
    const { accounts, findings } = await update();
    expect(accounts.map(({ name }: { name: string }) => name)).not.toContain('web01');
    expect(findings.map(({ code }: { code: string }) => code)).toContain('conflicting-roles');
  }
  expect(await letsIn(client, 'web01', other)).toBe(false);
  await rm(inTree('admins/web01'));
  await rename(inTree('.repos-away'), inTree('repos'));
  await letIn(client, 'web01');
});

test('ten thousand changes at once: the server answers meanwhile, and is right in the end', async () => {
  const names = Array.from({ length: 500 }, (_, number) => `busy${number}`);
  const [stay, go] = [names.slice(0, 250), names.slice(250)];
  const all = (some: readonly string[], act: (path: string) => Promise<void>) =>
    Promise.all(some.map((name) => act(inTree(`repos/${name}`))));
  const changing = (async () => {
    for (let round = 0; round < 20; round += 1) {
      const text = [`${client.key.public}\n`, '', `# ${round}\n`, `${other.public}\n`][round % 4] ?? '';
      await all(stay, (path) => writeFile(path, text));
      await all(go, (path) => (round % 2 === 0 ? writeFile(path, text) : rm(path)));
    }
  })();
  let over = false;
  const changed = changing.finally(() => {
    over = true;
  });
  while (!over) {
    const { stdout, stderr } = await server.exec(['borgserver', 'healthcheck'], { reject: false });
    expect(stdout, stderr).toBe('healthy\n');
  }
  await changed;
  await until('the last change to be seen', async () => (await inside(`grep -c ^busy ${PASSWD}`)).trim() === '250');
  await letIn(client, 'busy0', other);
  for (const name of ['busy0', 'busy249', 'busy250']) expect(await letsIn(client, name)).toBe(false);
  expect(await letsIn(client, 'busy250', other)).toBe(false);
  await all(stay, (path) => rm(path));
  await lockedOut(client, 'busy0', other);
});

/** renameat2(2) with RENAME_EXCHANGE: the name is never free, so that the server makes no new folder there in between. */
const EXCHANGE = `python3 -c 'import ctypes
if ctypes.CDLL(None).renameat2(-100, b"/repos/.link", -100, b"/repos/web01", 2): raise SystemExit("not exchanged")'`;

test('a repository folder that becomes a link, to /etc or to another repository, closes its account; the target of the link is not touched', async () => {
  await writeFile(join(server.repos, 'web02/data-of-web02'), 'precious');
  const etc = (): Promise<string> =>
    inside("stat -c '%a %u %g %n' /etc /etc/. /etc/passwd /etc/shadow /etc/group /etc/hosts");
  const before = { etc: await etc(), other: await inside("stat -c '%a %u %g %n' /repos/web02") };
  for (const target of ['/etc', '/repos/web02']) {
    await symlink(target, join(server.repos, '.link'));
    await inside(EXCHANGE);
    const { findings, accounts } = await update();
    expect(findings.map(({ code, file }: { code: string; file: string }) => `${code} ${file}`)).toContain(
      'repository-not-a-folder /repos/web01',
    );
    expect(accounts.map(({ name }: { name: string }) => name)).not.toContain('web01');
    expect(await letsIn(client, 'web01')).toBe(false);
    await inside(EXCHANGE);
    await rm(join(server.repos, '.link'));
    await letIn(client, 'web01');
  }
  expect({ etc: await etc(), other: await inside("stat -c '%a %u %g %n' /repos/web02") }).toEqual(before);
});

test('a repository folder changes places with a link to /etc while it is adopted and repaired: nothing of /etc changes', async () => {
  const etc = (): Promise<string> => inside("find /etc/ -maxdepth 1 -printf '%m %U %G %p\\n' | sort");
  const before = await etc();
  // renameat2(2) with RENAME_EXCHANGE: the name is never free, so that no new folder is made there.
  const script = `
import ctypes, os
os.chdir("/repos")
os.symlink("/etc", ".link")
libc = ctypes.CDLL(None)
own = os.lstat("web01").st_uid
turn = 0
while not os.path.exists(".enough"):
    assert libc.renameat2(-100, b"web01", -100, b".link", 2) == 0
    folder = os.open(".link", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    os.fchown(folder, *([4242] * 2 if turn % 2 else [own] * 2))
    os.fchmod(folder, 0o700)
    os.close(folder)
    assert libc.renameat2(-100, b"web01", -100, b".link", 2) == 0
    turn += 1
os.unlink(".link")
os.unlink(".enough")
`;
  const swapping = server.exec(['python3', '-c', script]);
  for (let pass = 0; pass < 12; pass += 1) await update();
  await writeFile(join(server.repos, '.enough'), '');
  await swapping;
  expect(await etc()).toBe(before);
  expect((await update()).findings.filter(({ severity }: { severity: string }) => severity === 'error')).toEqual([]);
  // A pass that a newer pass interrupts leaves the rest of the repair to the newer one.
  await until('the folder to be repaired', async () => {
    const found = await lstat(join(server.repos, 'web01'));
    return found.isDirectory() && (found.mode & 0o7777) === 0o2770;
  });
  expect(await readFile(join(server.repos, 'web02/data-of-web02'), 'utf8')).toBe('precious');
  await letIn(client, 'web01');
});
