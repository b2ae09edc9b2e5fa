import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LOGIN_GROUPS } from '../../src/accounts/role.ts';
import { SETTING_NAMES } from '../../src/settings.ts';

const PROJECT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(PROJECT, path), 'utf8');

/** The words of the shell list that begins with `before` and ends at `;` or a redirection, line continuations joined. */
const shellList = (text: string, before: string): string[] => {
  const list = text.replaceAll('\\\n', ' ').split(before)[1]?.split(/[;>]/)[0] ?? '';
  return list.trim().split(/\s+/);
};

describe('the role groups', () => {
  const wanted = LOGIN_GROUPS.map(({ name, gid }) => `${name} ${gid}`);

  test('are the same in the image', () => {
    const words = shellList(read('image/Dockerfile'), "printf '%s:x:%s:\\n'");
    expect(words.join(' ').match(/\S+ \S+/g)).toEqual(wanted);
  });

  test('are the same without Docker', () => {
    const words = shellList(read('image/private-machine'), 'for role in');
    expect(words.map((word) => word.replace(':', ' '))).toEqual(wanted);
  });
});

test('every subcommand of the installed borg is an executable', () => {
  // the interpreter that borg's own first line names: others on the PATH may not have borg's modules
  const borg = execFileSync('sh', ['-c', 'realpath "$(command -v borg)"'], { encoding: 'utf8' }).trim();
  const python = /^#! *(\S+)/.exec(readFileSync(borg, 'utf8'))?.[1] ?? 'python3';
  const program = `
from borg.archiver import Archiver
import json
parser = Archiver(prog='borg').build_parser()
actions = parser._subparsers._group_actions if parser._subparsers else [a for a in parser._actions if a.choices]
print(json.dumps(sorted({name for action in actions for name in action.choices})))`;
  const known: string[] = JSON.parse(execFileSync(python, ['-I', '-c', program], { encoding: 'utf8' }));
  const shims = shellList(read('image/install-program'), 'for command in');
  expect(known.length).toBeGreaterThan(20);
  expect(known.filter((name) => !shims.includes(name))).toEqual([]);
});

describe('the compose file', () => {
  const compose = read('docker-compose.yml');
  const environment = compose.split(/^ {4}environment:\n/m)[1] ?? '';

  test('hands every setting on, and the time zone', () => {
    const handedOn = [...environment.matchAll(/^ {6}(\w+): \$\{(\w+):-\}$/gm)];
    expect(handedOn.map(([, name]) => name).sort()).toEqual(
      [...SETTING_NAMES.filter((name) => name !== 'SSH_PORT'), 'TZ'].sort(),
    );
    expect(handedOn.filter(([, name, variable]) => name !== variable)).toEqual([]);
  });

  test('hands every argument of the Dockerfile on', () => {
    const wanted = new Set([...read('image/Dockerfile').matchAll(/^ARG (\w+)/gm)].map(([, name]) => name));
    const handedOn = [...compose.matchAll(/^ {8}(\w+): \$\{\1:-\}$/gm)].map(([, name]) => name);
    expect(handedOn.sort()).toEqual([...wanted].sort());
  });

  test('has each of its variables explained in .env.example', () => {
    const used = new Set([...compose.matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
    const explained = [...read('.env.example').matchAll(/^#([A-Z_]+)=/gm)].map(([, name]) => name);
    expect(explained.sort()).toEqual([...used].sort());
  });

  test('gives none of the folders a chance to be made by a typo', () => {
    expect(compose.match(/type: bind/g)).toHaveLength(2);
    expect(compose.match(/create_host_path: false/g)).toHaveLength(2);
  });
});

test('no tmpfs may grow to half of the memory, and each is as large without Docker', () => {
  const compose = [...read('docker-compose.yml').matchAll(/^ {6}- (\/[a-z/]+):(?:.*\bsize=(\d+m))?/gm)];
  const sizes = new Map(compose.map(([, path = '', size]) => [path, size]));
  expect([...sizes.keys()]).toEqual(['/run', '/tmp', '/var/lib/extrausers']);
  expect([...sizes.values()]).not.toContain(undefined);
  // The host's own /tmp is the server's there; the root is the server's in its place.
  const mounts = [
    ...read('image/private-machine').matchAll(/^mount -t tmpfs -o (?:\S*\bsize=(\d+m))?\S* borgserver (\S+)$/gm),
  ];
  expect(mounts.map(([, size, path]) => [path, size])).toEqual([
    ['"$root"', '64m'],
    ['run', sizes.get('/run')],
    ['var/lib/extrausers', sizes.get('/var/lib/extrausers')],
  ]);
});

test('copying the example tree lets nobody in: it holds no line that is a key', () => {
  const files = readdirSync(join(PROJECT, 'sshkeys.example'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(PROJECT, 'sshkeys.example', name))
    .filter((path) => statSync(path).isFile());
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    expect(spawnSync('ssh-keygen', ['-lf', file]).status, file).not.toBe(0);
  }
});
