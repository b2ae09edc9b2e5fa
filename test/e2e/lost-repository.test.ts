import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { letIn } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { type Server, startServer } from './harness/server.ts';

let server: Server;
let client: Client;

beforeAll(async () => {
  server = await startServer();
  client = await createClient(server);
  await writeKeyFile(server, 'repos/web01', client.key);
  await server.exec(['update-borgusers']);
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')]);
});
afterAll(async () => {
  await client?.cleanup();
  await server?.cleanup();
});

const exec = (...words: string[]) => server.exec(words, { reject: false });

test('a repository whose folder is gone is told everywhere until that is confirmed, and its client is told clearly', async () => {
  expect((await exec('update-borgusers')).exitCode).toBe(0);
  await rm(join(server.repos, 'web01'), { recursive: true });
  const update = await exec('update-borgusers');
  expect(update.exitCode).toBe(1);
  expect(update.stdout).toContain('update-borgusers --confirm web01');
  await until('the log to tell it', () => /ERROR.*repository-lost.*\/repos\/web01/.test(server.log()));
  const listed = await client.borg(['list', client.url('web01')], { reject: false });
  expect(listed.stderr).toMatch(/not a valid repository|does not exist/);

  await server.start();
  await letIn(client, 'web01');
  expect((await exec('borgserver', 'status')).stdout).toMatch(/! {2}web01 .*LOST/);
  expect((await exec('borgserver', 'status')).exitCode).toBe(1);
  expect((await exec('borgserver', 'doctor')).stdout).toMatch(/ERROR .*\/repos\/web01: a repository was here/);

  const slip = await exec('update-borgusers', '--confirm', 'web02');
  expect(slip).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('web02') });
  expect((await exec('borgserver', 'status')).stdout).toContain('LOST');
  expect((await exec('update-borgusers', '--confirm', 'web01')).exitCode).toBe(0);
  expect((await exec('borgserver', 'status')).stdout).not.toContain('LOST');
  expect((await exec('update-borgusers')).exitCode).toBe(0);
});
