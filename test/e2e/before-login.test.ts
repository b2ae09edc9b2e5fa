import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import { PROJECT, until } from './harness/machine.ts';
import { createMemoryGroup, type MemoryGroup } from './harness/memory-group.ts';
import { startNamespaceServer } from './harness/namespace-server.ts';
import { startBackup } from './harness/running-backup.ts';
import { onlyOn, type Server } from './harness/server.ts';
import { connectSilently, type SilentConnections } from './harness/silent-connections.ts';

// Docker limits the memory of a container. Here the test has a cgroup of its own.
onlyOn('namespace', () => {
  const MEMORY = 900e6;
  let group: MemoryGroup;
  let server: Server;
  let client: Client;
  let silent: SilentConnections | undefined;

  beforeAll(async () => {
    group = createMemoryGroup(MEMORY);
    server = await startNamespaceServer({}, { project: PROJECT, start: group.start, exec: () => [] });
    client = await createClient(server);
    await grant(server, 'repos/web01', client.key);
    await client.borg(['init', '--encryption', 'repokey-blake2', client.url('web01')]);
  });
  afterEach(() => silent?.close());
  afterAll(async () => {
    await client?.cleanup();
    await server?.cleanup();
    await group?.remove();
  });

  const listener = async (): Promise<string> => (await server.exec(['sh', '-c', LISTENER])).stdout.trim();

  test('of 600 silent connections the server holds as many as fit into 900 MB, and a backup finishes meanwhile', async () => {
    const backup = await startBackup(server, client, 'web01', 'calm');
    const before = await listener();
    silent = await connectSilently(server.port, 600, 200);
    expect(silent.open()).toBeGreaterThan(100);
    expect(silent.open()).toBeLessThanOrEqual(MEMORY / 4e6);
    expect((await backup.finish()).exitCode).toBe(0);
    silent.close();
    expect(await backup.isWhole()).toBe(true);
    expect(group.ended()).toBe(0);
    expect(await listener()).toBe(before);
  });

  test('one address holds at most half of the places, and another address still gets in', async () => {
    silent = await connectSilently(server.port, 300, 1);
    expect(silent.open()).toBeGreaterThan(50);
    expect(silent.open()).toBeLessThanOrEqual(MEMORY / 8e6);
    expect((await client.borg(['list', '--short', client.url('web01')])).stdout).toBe('calm\n');
  });

  test('where memory runs out strangers are ended, not a session, sshd or the server', async () => {
    await server.start({ MAX_STARTUPS: '4000' });
    const backup = await startBackup(server, client, 'web01', 'crowded');
    await until('the session to stand behind strangers', async () => !(await adjustments()).sessions.includes(1000));
    const before = await listener();
    silent = await connectSilently(server.port, 900, 300);
    await until('the memory to run out', () => group.ended() > 0);

    const values = await adjustments();
    expect(values.listener).toBeLessThanOrEqual(0);
    expect(values.strangers.filter((value) => value !== 1000)).toEqual([]);
    expect(values.sessions.filter((value) => value < 300 || value > 400)).toEqual([]);
    expect((await backup.finish()).exitCode).toBe(0);
    expect(await listener()).toBe(before);
    silent.close();
    expect(await backup.isWhole()).toBe(true);
    expect((await server.exec(['borgserver', 'healthcheck'])).exitCode).toBe(0);
  });

  const adjustments = async () => {
    const { stdout } = await server.exec(['sh', '-c', ADJUSTMENTS]);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    const below = (parent: number): number[][] =>
      rows.filter((row) => row[1] === parent).flatMap((row) => [row, ...below(row[0] ?? -1)]);
    const pid = Number(await listener());
    const connections = rows.filter((row) => row[1] === pid).map((row) => [row, ...below(row[0] ?? -1)]);
    const isSession = (rows: number[][]): boolean => rows.some((row) => (row[2] ?? 0) >= 10_000);
    const valuesOf = (all: number[][][]): number[] => all.flat().map((row) => row[3] ?? Number.NaN);
    return {
      listener: rows.find((row) => row[0] === pid)?.[3],
      sessions: valuesOf(connections.filter(isSession)),
      strangers: valuesOf(connections.filter((each) => !isSession(each))),
    };
  };
});

/** The sshd that listens: its parent is the server. */
const LISTENER = 'for each in $(pgrep -f "sshd.*-D.*sshd_config|sshd:.*listener"); do echo $each; break; done';
/** PID, parent, uid and oom_score_adj of every process. */
const ADJUSTMENTS =
  'for each in /proc/[0-9]*; do set -- $(grep -E "^(Pid|PPid|Uid):" $each/status 2>/dev/null); echo $2 $4 $6 $(cat $each/oom_score_adj 2>/dev/null); done';
