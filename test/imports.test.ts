import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const listed = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((entry) => entry.endsWith('.ts'))
    .map((entry) => join(folder, entry))
    .sort();
const SOURCES = listed('src');
const TESTS = listed('test');
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** What a file imports or re-exports, statically or not. */
const importsOf = (file: string): string[] =>
  [
    ...textOf(file).matchAll(
      /(?:^(?:import|export)\b[^;'"`]*?\bfrom\s+|^import\s+|\bimport\s*\(\s*)(['"])(?<name>[^'"\n]+)\1/gm,
    ),
  ].map((match) => match.groups?.name ?? '');
/** What comes with a file: the packages and files that are loaded before its first line runs. */
const loadedWith = (file: string, known = new Set<string>()): Set<string> => {
  const statically = /^(?:import|export)\b(?!\s+type\b)(?:[^;'"`]*?\bfrom\s+|\s+)(['"])(?<name>[^'"\n]+)\1/gm;
  for (const match of textOf(file).matchAll(statically)) {
    const name = match.groups?.name ?? '';
    const next = name.startsWith('.') ? join(dirname(file), name) : name;
    if (known.has(next)) continue;
    known.add(next);
    if (name.startsWith('.')) loadedWith(next, known);
  }
  return known;
};
const partOf = (file: string): string => relative('src', file).split('/')[0]?.replace(/\.ts$/, '') ?? '';

/** The ground, from the top to the bottom: everything may import it. Each with what it may itself import of the ground. */
const ON_GROUND: Readonly<Record<string, readonly string[]>> = {
  log: ['settings', 'failure', 'text'],
  settings: ['accounts', 'failure', 'text'],
  failure: ['text'],
  // It says of the machine what the kernel says. It knows no account, no setting and no repository.
  system: ['text'],
  accounts: ['text'],
  places: [],
  version: [],
  text: [],
};
const GROUND = Object.keys(ON_GROUND);
/** The parts that do no I/O, and what each may import besides itself. */
const PURE: Readonly<Record<string, readonly string[]>> = { accounts: ['text'], text: [] };

/** What each part of src may import besides itself and the ground, from the top to the bottom. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  main: ['cli'],
  cli: [
    'daemon',
    'doctor',
    'control',
    'reconcile',
    'start',
    'survey',
    'host',
    'sshd',
    'sessions',
    'snapshots',
    'borg',
    'repositories',
  ],
  daemon: ['control', 'reconcile', 'start', 'survey', 'host', 'sshd', 'sessions', 'snapshots', 'borg', 'keys'],
  doctor: ['control', 'start', 'survey', 'host', 'sshd', 'borg', 'repositories'],
  control: ['reconcile', 'start', 'sessions', 'snapshots', 'borg'],
  reconcile: ['start', 'survey', 'host', 'borg', 'keys', 'repositories'],
  start: ['sessions', 'host', 'sshd', 'borg', 'repositories'],
  survey: ['host', 'borg', 'repositories'],
  // Sessions are recognised from sshd's log.
  sessions: ['host', 'sshd'],
  // The forced command runs borg, and only host writes as root.
  sshd: ['host', 'borg'],
  snapshots: ['host', 'borg'],
  borg: ['host'],
  host: [],
  keys: [],
  repositories: [],
};

describe('the source', () => {
  it('imports one way: main → cli → {daemon, doctor} → control → reconcile → {start, survey} → sessions → sshd → borg → host, {keys, repositories} → {accounts, system} → text', () => {
    const wrong = SOURCES.flatMap((file) =>
      importsOf(file)
        .filter((name) => name.startsWith('.'))
        .map((name) => partOf(join(dirname(file), name)))
        .filter((part) => part !== partOf(file))
        .filter((part) => !(ON_GROUND[partOf(file)] ?? [...GROUND, ...(ALLOWED[partOf(file)] ?? [])]).includes(part))
        .map((part) => `${file} imports ${part}`),
    );
    expect(wrong).toEqual([]);
  });

  it('names each part below those that import it', () => {
    const parts = { ...ALLOWED, ...ON_GROUND };
    const order = Object.keys(parts);
    const wrong = Object.entries(parts).flatMap(([part, below]) =>
      below.filter((other) => order.indexOf(other) <= order.indexOf(part)).map((other) => `${part} imports ${other}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has no circle of files', () => {
    const after = new Map(
      SOURCES.map((file) => [
        file,
        importsOf(file)
          .filter((name) => name.startsWith('.'))
          .map((name) => join(dirname(file), name)),
      ]),
    );
    const done = new Set<string>();
    const circleFrom = (file: string, way: readonly string[]): readonly string[] | null => {
      if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
      if (done.has(file)) return null;
      for (const next of after.get(file) ?? []) {
        const circle = circleFrom(next, [...way, file]);
        if (circle) return circle;
      }
      done.add(file);
      return null;
    };
    expect(SOURCES.map((file) => circleFrom(file, [])).filter((circle) => circle !== null)).toEqual([]);
  });

  it('loads for a command only what it needs: starting is most of what a short one takes', () => {
    const packagesOf = (file: string): string[] =>
      [...loadedWith(file)].filter((name) => !name.startsWith('src/') && !name.startsWith('node:')).sort();
    expect(packagesOf('src/main.ts')).toEqual(['commander']);
    expect(packagesOf('src/cli/on-this-machine.ts')).toEqual(['execa', 'zod']);
    expect(packagesOf('src/cli/sshd.ts')).toEqual(['chokidar', 'execa', 'pino', 'pino-pretty', 'sshpk', 'zod']);
  });

  it.each(Object.entries(PURE))('does no I/O in %s/: it imports nothing but itself and %j', (pure, others) => {
    const allowed = [pure, ...others];
    const wrong = SOURCES.filter((file) => partOf(file) === pure).flatMap((file) =>
      importsOf(file)
        .filter((name) => !(name.startsWith('.') && allowed.includes(partOf(join(dirname(file), name)))))
        .filter((name) => !(pure === 'accounts' && name === 'node:crypto'))
        .map((name) => `${file} imports ${name}`),
    );
    expect(SOURCES.some((file) => partOf(file) === pure)).toBe(true);
    expect(wrong).toEqual([]);
  });

  it.each(Object.keys(PURE))('reads no clock, no random number and no process in %s/', (pure) => {
    const wrong = SOURCES.filter((file) => partOf(file) === pure).filter((file) =>
      /\b(Date\.now|new Date\(\)|performance\.|Math\.random|process\.|console\.|setTimeout|randomBytes|randomUUID)/.test(
        textOf(file),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('has only parts that are known here', () => {
    expect(SOURCES.map(partOf).filter((part) => !(part in ALLOWED || GROUND.includes(part)))).toEqual([]);
  });

  it('makes account names in one place', () => {
    expect(SOURCES.filter((file) => / as AccountName\b/.test(textOf(file)))).toEqual(['src/accounts/name.ts']);
  });

  it('makes findings in one place', () => {
    expect(SOURCES.filter((file) => /\bseverity: '/.test(textOf(file)))).toEqual(['src/accounts/finding.ts']);
  });

  it.each([
    ['what is mounted', /\/mountinfo['`]/, 'system/mounts.ts'],
    ['capabilities', /'CapEff'/, 'system/proc.ts'],
    ['a place where a link may lie', /constants\.O_NOFOLLOW/, 'system/open.ts'],
    ['a search path', /\bdelimiter\b.* from 'node:path'/, 'system/path.ts'],
    ['the code of an error', /'code' in error/, 'system/errno.ts'],
  ])('reads %s in one place', (_what, pattern, place) => {
    expect(SOURCES.filter((file) => pattern.test(textOf(file)))).toEqual([`src/${place}`]);
  });

  it('starts programs that it may have to end in one place: Node’s own kill() is not safe where a program could not be started', () => {
    const spawning = /import\s*\{[^}]*\b(?:spawn|fork|exec|execFile)\b[^}]*\}\s*from 'node:child_process'/;
    expect(SOURCES.filter((file) => spawning.test(textOf(file)))).toEqual(['src/system/spawn.ts']);
  });

  it('throws by failure() what it can tell in words: failure() says what kind it is', () => {
    const wrong = SOURCES.filter(
      (file) => file !== 'src/failure.ts' && /\{ cause\b|new Error\([^()]*,/.test(textOf(file)),
    );
    expect(wrong).toEqual([]);
  });

  it('has no file of more than 250 lines', () => {
    expect(SOURCES.filter((file) => textOf(file).split('\n').length - 1 > 250)).toEqual([]);
  });

  it('names its files for the domain, in kebab-case', () => {
    const names = [...SOURCES, ...TESTS].map((file) => file.split('/').at(-1) ?? '');
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(name))).toEqual([]);
    expect(
      [...SOURCES, ...TESTS].filter((file) => /(^|\/)(utils?|helpers?|common|types|misc|index)(\.|\/)/.test(file)),
    ).toEqual([]);
  });

  it('has no enum, no any and no suppressed diagnosis', () => {
    expect(
      SOURCES.filter((file) => /^\s*(export )?(const )?enum |[:<] ?any\b|@ts-|biome-ignore/m.test(textOf(file))),
    ).toEqual([]);
  });
});

describe('the tests', () => {
  it('are all run: none is skipped, singled out or left for later', () => {
    const pattern = /\b(it|test|describe|bench)\s*\.\s*(skip|only|todo|fails)\b/;
    expect(TESTS.filter((file) => pattern.test(textOf(file)))).toEqual([]);
  });
});

describe('package.json', () => {
  const {
    dependencies,
    devDependencies,
    scripts,
  }: Record<string, Record<string, string>> = JSON.parse(textOf('package.json'));
  const packageOf = (name: string): string =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/');
  const imported = (files: readonly string[]): Set<string> =>
    new Set(
      files
        .flatMap(importsOf)
        .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
        .map(packageOf),
    );

  it('has no dependency that the source does not import, and the source imports no other', () => {
    expect([...imported(SOURCES)].sort()).toEqual(Object.keys(dependencies ?? {}).sort());
  });

  it('has what the tests import', () => {
    const known = { ...dependencies, ...devDependencies };
    expect([...imported(TESTS)].filter((name) => !(name in known))).toEqual([]);
    expect(scripts).toHaveProperty('test');
  });
});
