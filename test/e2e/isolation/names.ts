import { basename } from 'node:path';
import { until } from '../harness/machine.ts';
import type { Finished } from '../harness/program.ts';
import { GREETING, open, request, requests } from '../harness/raw-borg.ts';
import type { Try } from './other-repositories.ts';
import { sessionOf } from './processes.ts';
import { type Actor, NOWHERE, type Scene } from './scene.ts';
import { judge } from './verdict.ts';

/** The ways to ask for a name. */
const ways = (name: string): readonly string[] => [
  ...[`/repos/${name}`, `/repos/${name}/`, `/repos/${name}/data/0`, `/repos/${name}/../${name}/config`],
  ...[`~${name}`, `/~${name}`, `/~${name}/x`, `/./../${name}`, `../${name}`],
];

export const nameTaken: Try = async (actor, scene) => {
  const { client, account, victim } = actor;
  const name = basename(victim);
  // The same questions are asked about two names of the same length, with the same numbers. So the two halves of the answers can be compared.
  const about = (asked: string) => {
    const opens = [false, true].flatMap((create) => ways(asked).map((path) => open(path, { create, lock: false })));
    return Buffer.concat([GREETING, ...opens].map((call, index) => request(index + 1, call)));
  };
  const input = Buffer.concat([about(name), about(NOWHERE)]);
  const asked = await client.ssh(account, ['borg serve'], { input, reject: false });
  if (/Permission denied/.test(asked.stderr)) return judge(false, asked.stderr);
  if (actor.column === 'repo') await procTellsNothing(actor, scene);
  const answers = asked.stdout.replace(/Borg [0-9.]+: Got connection close before repository was opened\.\n$/, '');
  const half = answers.length / 2;
  const [there, missing] = [answers.slice(0, half), answers.slice(half)];
  return there.replaceAll(name, 'NAME') === missing.replaceAll(NOWHERE, 'NAME') ? 'same answer' : 'allowed';
};

/** Asks for the working directory of another account's session, which has the name of its repository. */
const procTellsNothing = async ({ client, account, owner, victim }: Actor, { server }: Scene): Promise<void> => {
  const session = owner.client.ssh(owner.account, ['borg serve'], { input: 'pipe', reject: false });
  try {
    session.stdin?.write(requests(open(victim, { lock: false })));
    const pid = await until('the session of the owner', () => sessionOf(server, owner.account));
    const links = ['cwd', 'root', 'fd/0'].map((link) => open(`/proc/${pid}/${link}`));
    const { stdout } = await client.ssh(account, ['borg serve'], { input: requests(...links), reject: false });
    if (!stdout.includes('PathNotAllowed') || stdout.includes(basename(victim))) throw new Error(stdout);
  } finally {
    session.stdin?.end();
    await session;
  }
};

export const accountExists: Try = async (actor) => {
  const answer = async (name: string) => {
    const { stderr, exitCode, stdout } = await actor.client.ssh(name, ['borg', '--version'], { reject: false });
    return JSON.stringify({ exitCode, stdout, said: stderr.replaceAll(name, 'NAME') });
  };
  const unknown = await answer(NOWHERE);
  if (!unknown.includes('Permission denied')) throw new Error(unknown);
  const victim = basename(actor.victim);
  const all = [victim, 'root', 'nobody', 'sshd', 'borg', '10000', '$USER', 'neighbour-a', 'ops'];
  const names = actor.column === 'no key' ? all : all.slice(0, 1);
  for (const name of names) {
    if ((await answer(name)) !== unknown) return 'allowed';
  }
  return 'same answer';
};

export const logInWithoutKey: Try = async ({ client, account, column }) => {
  const methods = ['password', 'keyboard-interactive', 'none', 'hostbased', 'gssapi-with-mic'];
  // Where publickey is among the methods, the same words let the key's owner in.
  const refused =
    column === 'control' ? ['-o', 'PreferredAuthentications=publickey'] : ['-o', 'PubkeyAuthentication=no'];
  const tries = (column === 'no key' ? methods : [methods.join(',')]).map((each): Promise<Finished> => {
    const flags = column === 'control' ? refused : [...refused, '-o', `PreferredAuthentications=${each}`];
    return client.ssh(account, ['borg', '--version'], { flags, reject: false });
  });
  const said = await Promise.all(tries);
  const other = said.find(
    ({ stderr, stdout }) => stdout === '' && stderr !== `${account}@127.0.0.1: Permission denied (publickey).\r\n`,
  );
  if (other) throw new Error(`another answer than the usual: ${other.stderr}`);
  return judge(
    said.some(({ stdout }) => stdout !== ''),
    said.map(({ stderr }) => stderr).join(''),
  );
};
