import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { cp, lchown, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errorCode } from '../../../src/system/errno.ts';
import { BASE_ENVIRONMENT, until } from '../harness/machine.ts';
import { run } from '../harness/program.ts';
import { open, requests } from '../harness/raw-borg.ts';
import type { Column } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { there } from './running.ts';
import type { Actor, Scene } from './scene.ts';

// All columns share one look at the server. Each column has its own item in its own repository, and the question is the same for
// each: whether its item stops the others or one of the victims.

/** Puts an item into the actor's own repository. Returns what removes the things that `restore` leaves. */
type Item = (actor: Actor, scene: Scene) => Promise<() => Promise<void>>;

const nothing = async (): Promise<void> => {};

const made = (...words: readonly string[]): Promise<unknown> => run(words[0] ?? '', words.slice(1), BASE_ENVIRONMENT);

const ITEMS: Readonly<Record<Exclude<Column, 'no key'>, Item>> = {
  'append-only': async ({ ownFolder }) => {
    await rm(join(ownFolder, 'config'));
    await made('mkfifo', join(ownFolder, 'config'), join(ownFolder, 'data/0/99'), join(ownFolder, 'lock.roster'));
    return nothing;
  },
  repo: async ({ ownFolder }) => {
    const listen = 'import socket, sys; socket.socket(socket.AF_UNIX).bind("hints.1")';
    await run('python3', ['-c', listen], BASE_ENVIRONMENT, { cwd: ownFolder });
    return nothing;
  },
  'sub-repositories': async ({ home, ownFolder, victim }) => {
    const { uid, gid } = await stat(home);
    const others = ['data', 'lock.x', 'two'].map((name) => join(home, name));
    for (const folder of others.slice(0, 2)) await cp(ownFolder, folder, { recursive: true });
    await mkdir(join(home, 'two/deep'), { recursive: true });
    await made('chown', '-R', `${uid}:${gid}`, ...others);
    const exchange = 'while mv two two-2 && ln -s "$0" two && rm two && mv two-2 two; do :; done';
    const exchanging = spawn('sh', ['-c', exchange, victim], { cwd: home, stdio: 'ignore' });
    return async () => {
      exchanging.kill('SIGKILL');
      for (const folder of [...others, join(home, 'two-2')]) await rm(folder, { recursive: true, force: true });
    };
  },
  admin: async ({ ownFolder }) => {
    const { uid, gid } = await stat(ownFolder);
    await mkdir(join(ownFolder, 'lock.exclusive'));
    await writeFile(join(ownFolder, 'lock.exclusive/elsewhere@1.12-0'), '');
    for (const name of ['lock.exclusive', 'lock.exclusive/elsewhere@1.12-0'])
      await lchown(join(ownFolder, name), uid, gid);
    return nothing;
  },
};

/** Which commands must report the item, and how. */
const NAMED: Readonly<
  Record<keyof typeof ITEMS, { readonly all?: RegExp; readonly doctor?: RegExp; readonly status?: RegExp }>
> = {
  // It depends on the file system which of the two is found first.
  'append-only': {
    all: /a pipe is in it.*\/repos\/vault/s,
    doctor: /vault cannot be read: (?:config|lock.roster) is a pipe/,
    status: /(?:config|lock.roster) is a pipe/,
  },
  repo: {
    all: /a socket is in it.*\/repos\/web/s,
    doctor: /web cannot be read: hints.1 is a socket/,
    status: /hints.1 is a socket/,
  },
  // Two of these names are borg's own only inside a repository. The item that is exchanged is there only sometimes.
  'sub-repositories': { status: /"fleet\/data".*"fleet\/lock.x"/ },
  admin: { all: /Failed to create\/acquire the lock \/repos\/shared/, status: /"elsewhere@1/ },
};

let looked: Promise<Readonly<Record<string, string>>> | undefined;

export const hostileItems: Try = async (actor, scene) => {
  if (actor.column === 'control') return waitsForPipe(actor).finally(() => scene.restore(actor));
  looked ??= lookAtAll(scene);
  const { [actor.column]: stopped = 'nothing is known' } = await looked;
  if (stopped === '') return 'refused';
  throw new Error(stopped);
};

/** What was wrong, by column; '' where nothing was. */
const lookAtAll = async (scene: Scene): Promise<Readonly<Record<string, string>>> => {
  const { server, actors } = scene;
  const columns = Object.keys(ITEMS) as readonly (keyof typeof ITEMS)[];
  const clear: (() => Promise<void>)[] = [];
  try {
    for (const column of columns) clear.push(await ITEMS[column](actors[column], scene));
    const victims = Object.values(actors).map(({ victim }) => basename(victim));
    const [all, status, doctor] = await Promise.all(
      [
        ['check', '--repository-only', 'all'],
        ['borgserver', 'status', '--json'],
        ['borgserver', 'doctor'],
      ].map((words) => server.exec(words, { reject: false })),
    );
    if (!all || !status || !doctor) throw new Error('all, status or doctor has not ended');
    const rows: readonly { readonly name: string }[] = JSON.parse(status.stdout).repositories;
    const common = [
      ...victims.filter((name) => !all.stdout.includes(`=== ${name}\n`)).map((name) => `all has no ${name}`),
      ...victims.filter((name) => all.stderr.includes(name)).map((name) => `all could not check ${name}`),
      ...victims.filter((name) => !rows.some((row) => row.name === name)).map((name) => `status has no ${name}`),
      ...(/^\d+ ok, /m.test(doctor.stdout) ? [] : [`doctor came to no end: ${doctor.stdout}`]),
      ...(await afterPowerCut(scene)),
    ];
    return Object.fromEntries(
      columns.map((column) => {
        const told = { all: all.stderr, doctor: doctor.stdout, status: status.stdout };
        const own = Object.entries(NAMED[column]).flatMap(([by, how]) => {
          const said = told[by as keyof typeof told];
          return how.test(said) ? [] : [`${by} does not tell of it: ${said}`];
        });
        return [column, [...common, ...own].join('; ')];
      }),
    );
  } finally {
    for (const each of clear) await each();
    for (const column of columns) await scene.restore(actors[column]);
  }
};

/** The server dies while a session of a victim holds its lock, and starts again with all the items in place. */
const afterPowerCut = async ({ server, actors }: Scene): Promise<readonly string[]> => {
  const { victim, victimFolder, owner } = actors['no key'];
  const session = owner.client.ssh(owner.account, ['borg serve'], { input: 'pipe', reject: false });
  session.stdin?.write(requests(open(victim, { exclusive: true })));
  await until('the lock to be held', () => there(join(victimFolder, 'lock.exclusive')));
  await server.kill();
  await session;
  const before = server.log().length;
  await server.start();
  const said = server.log().slice(before);
  const { stdout } = await owner.client.ssh(owner.account, ['borg', '--version'], { reject: false });
  return [
    ...((await there(join(victimFolder, 'lock.exclusive'))) ? [`a stale lock stays: ${said}`] : []),
    ...(stdout.startsWith('borg ') ? [] : [`${owner.account} cannot log in: ${said}`]),
  ];
};

/** A pipe can be opened for writing at once only where a reader has it open and waits (fifo(7)). */
const waitsForPipe = async ({ client, account, own }: Actor) => {
  const pipe = join(own, 'config');
  await rm(pipe);
  await made('mkfifo', pipe);
  const session = client.ssh(account, ['borg serve'], { input: 'pipe', reject: false });
  session.stdin?.write(requests(open(own, { lock: false })));
  const writer = await until('borg to wait', () => openWaiting(pipe));
  closeSync(writer);
  session.stdin?.end();
  await session;
  return 'allowed' as const;
};

const openWaiting = (pipe: string): number | undefined => {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENXIO') return undefined;
    throw error;
  }
};
