import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT } from './harness/machine.ts';
import { contents } from './harness/repository-files.ts';
import { TRIES } from './isolation/attempts.ts';
import { COLUMNS, type Column, type Verdict } from './isolation/cells.ts';
import { ATTEMPTS } from './isolation/matrix.ts';
import { type Scene, setScene } from './isolation/scene.ts';
import { placeOf, readLastRuns, renderSection, sectionOf } from './isolation/section.ts';

// A real client tries every cell of the table in docs/isolation.md against the real server. In the same run, what must be
// refused succeeds where it is allowed: for an admin, for the owner, or at an sshd that allows everything.

let scene: Scene;
let programs: string;
/** The folders that nobody may change, as they were before the attempts. */
let before: readonly (readonly [folder: string, ReadonlyMap<string, string>])[] = [];
const results = new Map<string, Record<Column, Verdict>>();

beforeAll(async () => {
  scene = await setScene();
  // This comes before the flood of logins. After the flood sshd may refuse this address.
  programs = await programsOf(scene);
  const closed = COLUMNS.filter((column) => column !== 'admin').map((column) => scene.actors[column].victimFolder);
  before = await Promise.all(closed.map(async (folder) => [folder, await contents(folder)] as const));
});

afterAll(async () => {
  await scene?.cleanup();
});

test.for(ATTEMPTS)('$id', async ({ id, expected, control, inTurn }) => {
  const attempt = TRIES[id];
  if (attempt === undefined) throw new Error(`no attempt is written for ${id}`);
  const cell = async (column: Column): Promise<[Column, Verdict | string]> => {
    if (expected[column] === '–') return [column, '–'];
    return [column, await attempt(scene.actors[column], scene).catch((error) => String(error))];
  };
  const cells: [Column, Verdict | string][] = [];
  if (inTurn) for (const column of COLUMNS) cells.push(await cell(column));
  else cells.push(...(await Promise.all(COLUMNS.map(cell))));
  const came = control && (await attempt(scene.controls[control], scene).catch((error) => String(error)));
  expect({ ...Object.fromEntries(cells), ...(control && { [control]: came }) }).toEqual({
    ...expected,
    ...(control && { [control]: 'allowed' }),
  });
  results.set(id, expected);
});

test('no attempt has changed a folder that it may not change', async () => {
  for (const [folder, files] of before) expect(await contents(folder)).toEqual(files);
});

test('what is refused to every actor succeeds for a control that may do it', () => {
  const proved: readonly Verdict[] = ['allowed', 'own only'];
  const unproved = ATTEMPTS.filter(
    ({ expected, control }) => !control && !Object.values(expected).some((verdict) => proved.includes(verdict)),
  );
  // These three attempts look themselves whether they have got anywhere.
  expect(unproved.map(({ id }) => id)).toEqual(['forge-log', 'stay', 'outlive']);
});

test('docs/isolation.md says what this run has found', async () => {
  const file = join(PROJECT, 'docs/isolation.md');
  const page = await readFile(file, 'utf8');
  const found = sectionOf(page);
  if (process.env.MATRIX === 'write' && found !== undefined) {
    const lastRuns = { ...readLastRuns(page), [await placeOfRun(scene)]: programs };
    await writeFile(
      file,
      page.replace(found, () => renderSection(results, lastRuns)),
    );
    return;
  }
  // Which versions ran last is written down and not compared: they differ from machine to machine.
  expect(found).toBe(renderSection(results, readLastRuns(page)));
});

const placeOfRun = async ({ server }: Scene): Promise<string> => {
  if (server.target === 'namespace') return placeOf(undefined);
  const { stdout } = await server.look(['cat', '/etc/os-release']);
  return placeOf(/^VERSION_CODENAME=(\w+)$/m.exec(stdout)?.[1] ?? 'an unknown Debian');
};

/** `borg 1.2.4 and OpenSSH 9.2`, as the server has them. */
const programsOf = async ({ actors, server }: Scene): Promise<string> => {
  const { stdout } = await actors.repo.client.ssh('web', ['borg', '--version']);
  const greeting = await new Promise<string>((resolve) => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
  return `${stdout.trim()} and OpenSSH ${/OpenSSH_([0-9.]+)/.exec(greeting)?.[1]}`;
};
