import { chownSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import type { Server } from './harness/server.ts';
import { connected, sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { SHIFT, startUserNamespaceServer } from './harness/user-namespace.ts';

// Not run against the container: the engine of these tests has no namespaces of users.
describe('in a user namespace with 65,536 ids, as in a rootless container', () => {
  let server: Server;
  let alice: Client;
  let bob: Client;

  beforeAll(async () => {
    server = await startUserNamespaceServer({});
    alice = await createClient(server);
    bob = await createClient(server);
    // One after the other: files that are dropped at once get their uids in an order that a test cannot know.
    await grant(server, 'repos/alice', alice.key);
    await grant(server, 'repos-appendonly/bob', bob.key);
  });

  afterAll(async () => {
    await alice?.cleanup();
    await bob?.cleanup();
    await server?.cleanup();
  });

  test('tenants back up with the default UID_RANGE, and each has its own id on this machine', async () => {
    for (const [name, client] of [
      ['alice', alice],
      ['bob', bob],
    ] as const) {
      await writeFile(join(client.home, 'letter'), `what only ${name} knows`);
      await client.borg(['init', '--encryption', 'repokey-blake2', client.url(name)]);
      await client.borg(['create', `${client.url(name)}::first`, 'letter'], { cwd: client.home });
      expect((await client.borg(['list', '--short', client.url(name)])).stdout).toBe('first\n');
    }
    const owners = ['alice', 'bob', 'alice/config'].map((path) => statSync(join(server.repos, path)).uid - SHIFT);
    expect(owners).toEqual([10_000, 10_001, 10_000]);
    expect(statSync(join(server.repos, 'alice')).mode & 0o7777).toBe(0o2770);
  });

  test('neither borg nor the kernel lets one tenant read the other’s files', async () => {
    const refused = await bob.borg(['list', bob.url('bob', 'alice')], { reject: false });
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Repository path not allowed') });
    const as = (uid: number) => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const read = (uid: number) => server.exec([...as(uid), 'cat', '/repos/alice/config'], { reject: false });
    expect(await read(10_001)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Permission denied') });
    expect(await read(10_000)).toMatchObject({ exitCode: 0 });
  });

  test('a revocation ends the session, and the server knows the bytes of a session', async () => {
    const connection = await connected(server, alice, 'alice', alice.key);
    expect(await sessionsOf(server)).toEqual([
      expect.objectContaining({ account: 'alice', uid: 10_000, received: expect.any(Number) }),
    ]);
    await rm(join(server.sshkeys, 'repos/alice'));
    await updated(server);
    await connection.ended();
    await grant(server, 'repos/alice', alice.key);
    expect((await alice.borg(['list', '--short', alice.url('alice')])).stdout).toBe('first\n');
  });

  test('the doctor finds nothing wrong, and tells how many ids there are', async () => {
    const { stdout } = await server.exec(['borgserver', 'doctor'], { reject: false });
    expect(stdout).toMatch(/ok +ids +user ids 0-65535, group ids 0-65535 in this user namespace/);
    expect(stdout).toMatch(/ok +owners +\/repos keeps owners/);
    expect(stdout).toMatch(/ 0 errors$/m);
  });

  const refusal = async (env: Record<string, string>): Promise<string> => {
    const before = server.log().length;
    await server.start(env, { ready: false });
    expect(await server.ended()).not.toBe(0);
    return server.log().slice(before);
  };

  test('ids that the namespace does not have end the start, each with its setting', async () => {
    const said = await refusal({ UID_RANGE: '60000-70000', PUID: '70001', PGID: '70002' });
    expect(said).toContain('PUID: 70001 is not among the user ids of this user namespace (0-65535)');
    expect(said).toContain('PGID: 70002 is not among the group ids');
    expect(said).toContain('UID_RANGE: 60000-70000 is not among the user ids');
  });

  test('a folder of repositories that belongs to nobody in the namespace ends the start, which says whose it must be', async () => {
    chownSync(server.repos, 0, 0);
    expect(await refusal({})).toContain('belongs to somebody outside of this user namespace');
    chownSync(server.repos, SHIFT, SHIFT);
    await server.start({});
  });
});
