import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../src/cli/program.ts';
import { PLACES } from '../src/places.ts';
import { requireSettings, SETTING_NAMES, type Settings } from '../src/settings.ts';
import { VERSION } from '../src/version.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const filesBelow = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));

const DOCUMENTS = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'sshkeys.example/README.md'],
  ...filesBelow('docs').filter((file) => file.endsWith('.md')),
].sort();
/** What people read beside them, and the program's own messages and comments. */
const PROGRAM = [
  ...filesBelow('src'),
  ...filesBelow('image').filter((file) => !file.includes('__pycache__')),
  ...filesBelow('test').filter((file) => /\.(ts|py)$/.test(file)),
  ...['.env.example', 'docker-compose.yml', '.ci/run'],
];

/** A document's lines without those in fences, and the blocks in fences. */
const split = (text: string): { readonly prose: string; readonly blocks: { language: string; text: string }[] } => {
  const blocks: { language: string; text: string }[] = [];
  const prose = text.replaceAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm, (_, indent: string, language: string, block) => {
    blocks.push({ language, text: block.replaceAll(new RegExp(`^${indent}`, 'gm'), '') });
    return '';
  });
  return { prose, blocks };
};

/** How GitHub names a heading. */
const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
const headingsOf = (file: string): string[] =>
  [...split(read(file)).prose.matchAll(/^#{1,6} (.*)$/gm)].map((match) => match[1] ?? '');

/** The rows of all tables of a document, each as its cells. */
const rowsOf = (file: string): string[][] => {
  const lines = split(read(file)).prose.split('\n');
  return lines
    .filter((line) => line.startsWith('|') && !line.startsWith('|---'))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
};
const codes = (text: string): string[] => [...text.matchAll(/`([A-Za-z_-]+)`/g)].map((match) => match[1] ?? '');

const SETTINGS = rowsOf('docs/settings.md').slice(1);
const FINDINGS = rowsOf('docs/findings.md').slice(1);

describe('the README', () => {
  test('has at most 150 lines', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  });

  test('begins with commands that run the server and the tests', () => {
    expect(read('README.md')).toContain('docker compose up -d --build');
    expect(read('README.md')).toContain('npm cit');
  });

  test('leads to every page of docs/', () => {
    const pages = filesBelow('docs').filter((file) => dirname(file) === 'docs');
    expect(pages.filter((page) => !read('README.md').includes(`(${page})`))).toEqual([]);
  });

  test('has no other figures than the benchmarks', () => {
    const figures = (file: string): string[] => read(file).match(/^\|.*\d (s|ms|MB|MB\/s|a second)\b.*$/gm) ?? [];
    const numbers = (text: string): string[] => text.match(/\d[\d.,]*( (s|ms|MB\/s|MB))?/g) ?? [];
    const measured = new Set(numbers(figures('docs/benchmarks.md').join('\n')));
    const told = figures('README.md').flatMap(numbers);
    expect(told.length).toBeGreaterThan(8);
    expect(told.filter((number) => !measured.has(number))).toEqual([]);
  });
});

describe('the settings', () => {
  test('are all in the table, and no other', () => {
    const named = SETTINGS.flatMap((cells) => codes(cells[1] ?? ''));
    expect(named.sort()).toEqual([...SETTING_NAMES].sort());
    expect(SETTINGS.filter((cells) => !cells[3])).toEqual([]);
  });

  const UNSET = requireSettings({});
  test.each(
    SETTINGS.flatMap(([, names = '', told = '']) =>
      codes(names).map((name) => [name, /^`(.*?)`/.exec(told)?.[1] ?? ''] as const),
    ),
  )('tell the default of %s, as does .env.example', (name, told) => {
    const asked = (value: string): unknown => requireSettings({ [name]: value })[name as keyof Settings];
    expect(asked(told)).toEqual(UNSET[name as keyof Settings]);
    const example = new RegExp(`^#${name}=(.*)$`, 'm').exec(read('.env.example'))?.[1];
    if (name !== 'SSH_PORT') expect(asked(example ?? '?')).toEqual(UNSET[name as keyof Settings]);
  });

  test('are all in .env.example and in the compose file', () => {
    for (const name of SETTING_NAMES.filter((each) => each !== 'SSH_PORT')) {
      expect(read('.env.example'), name).toMatch(new RegExp(`^#${name}=`, 'm'));
      expect(read('docker-compose.yml'), name).toContain(`${name}: \${${name}:-}`);
    }
  });
});

test('the table of findings names every finding and its cure, and no other', () => {
  const union = read('src/accounts/finding.ts').split('export type FindingCode =')[1]?.split(';')[0] ?? '';
  const known = [...union.matchAll(/'([a-z-]+)'/g)].map((match) => match[1] ?? '');
  expect(FINDINGS.flatMap((cells) => codes(cells[1] ?? '')).sort()).toEqual(known.sort());
  expect(FINDINGS.filter((cells) => !cells[2] || !cells[3])).toEqual([]);
});

describe('the examples', () => {
  const BLOCKS = DOCUMENTS.flatMap((file) => split(read(file)).blocks.map((block) => ({ file, ...block })));

  test.for(
    BLOCKS.filter(({ language }) => language === 'sh').map(({ file, text }) => [file, text.split('\n', 1)[0], text]),
  )('of %s can be read by a shell: %s', ([, , text]) => {
    expect(execaSync('bash', ['-n'], { input: text ?? '', reject: false })).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('name commands and options that there are', () => {
    const program = createProgram(PLACES, VERSION, async () => {});
    const told = DOCUMENTS.flatMap((file) =>
      [...read(file).matchAll(/(?:\bborgserver |^\$ |exec -- |\brun --rm borgserver )(?:borgserver )?(.*)$/gm)]
        .flatMap((match) => match[1]?.split(/[`;)]| -- | {2}|: /)[0] ?? [])
        .map((line) => ({ file, words: line.split(' ') })),
    ).flatMap(({ file, words }) => {
      const [name, ...rest] = words[0] === 'update-borgusers' ? ['update', ...words.slice(1)] : words;
      const command = program.commands.find((each) => each.name() === name);
      return command ? [{ file, command, options: rest.filter((word) => /^--\w/.test(word)) }] : [];
    });
    expect([...new Set(told.map(({ command }) => command.name()))].sort()).toEqual(
      [
        'borg',
        'client',
        'doctor',
        'healthcheck',
        'history',
        'keys',
        'maintenance',
        'repair',
        'sessions',
        'snapshots',
        'status',
        'undo',
        'update',
      ].sort(),
    );
    const wrong = told
      .filter(({ command }) => command.name() !== 'borg')
      .flatMap(({ file, command, options }) =>
        options
          .filter((option) => !command.options.some(({ long }) => long === option))
          .map((option) => `${file}: ${command.name()} ${option}`),
      );
    expect(wrong).toEqual([]);
  });

  test('name borgserver commands that there are', () => {
    const program = createProgram(PLACES, VERSION, async () => {});
    const known = new Set(program.commands.map((command) => command.name()));
    const wrong = DOCUMENTS.flatMap((file) =>
      [...read(file).matchAll(/(?:`|exec borgserver )borgserver ([a-z][a-z-]+)/g)]
        .map((match) => match[1] ?? '')
        .filter((name) => !known.has(name))
        .map((name) => `${file}: borgserver ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('name every format of `client`, and no other', () => {
    const line = /`--format` is (.*)\.$/m.exec(read('docs/operations.md'))?.[1] ?? '';
    const client = createProgram(PLACES, VERSION, async () => {}).commands.find((each) => each.name() === 'client');
    const format = client?.options.find((option) => option.long === '--format');
    expect(codes(line)).toEqual(format?.argChoices);
  });
});

describe('documents lead somewhere', () => {
  test('each link between them, and each anchor', () => {
    const wrong = DOCUMENTS.flatMap((file) =>
      [...split(read(file)).prose.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1] ?? '')
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [path = '', anchor] = link.split('#');
          const target = path === '' ? file : join(dirname(file), path);
          if (!existsSync(join(ROOT, target))) return true;
          return anchor !== undefined && !headingsOf(target).map(anchorOf).includes(anchor);
        })
        .map((link) => `${file}: ${link}`),
    );
    expect(wrong).toEqual([]);
  });

  test('each path of the project that they name', () => {
    const wrong = DOCUMENTS.flatMap((file) =>
      [...read(file).matchAll(/(?<![\w/.-])(?:src|test|image|docs|findings|\.ci)\/[\w./-]*[\w/]/g)]
        .map(([path]) => path)
        .filter((path) => !existsSync(join(ROOT, path)))
        .map((path) => `${file}: ${path}`),
    );
    expect(wrong).toEqual([]);
  });

  test('each page that a message or a comment names, with its heading', () => {
    const named = PROGRAM.flatMap((file) =>
      [...read(file).matchAll(/\b(docs\/[\w/-]+\.md)(?:, "([^"]+)"| \("([^"]+)"\))?/g)].map(
        ([, page = '', quoted, inBrackets]) => ({ file, page, heading: quoted ?? inBrackets }),
      ),
    );
    expect(named.filter(({ heading }) => heading !== undefined).length).toBeGreaterThan(3);
    const wrong = named.filter(
      ({ page, heading }) =>
        !existsSync(join(ROOT, page)) || (heading !== undefined && !headingsOf(page).includes(heading)),
    );
    expect(wrong).toEqual([]);
  });

  test('no message sends anybody to a place in the README', () => {
    const wrong = PROGRAM.filter((file) => file !== 'test/documents.test.ts').filter((file) =>
      /\bREADME(: “| says|'s | \(|, [a-z -]+\))/.test(read(file)),
    );
    expect(wrong).toEqual([]);
  });
});

test('the architecture names every room of the source, and every file beside them', () => {
  const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).map((entry) =>
    entry.isDirectory() ? `src/${entry.name}/` : `src/${entry.name}`,
  );
  const listed = read('docs/architecture.md').match(/^ {4}src\/\w+(?:\/|\.ts)(?= )/gm) ?? [];
  expect(listed.map((line) => line.trim()).sort()).toEqual(rooms.sort());
});

describe('the decisions', () => {
  const ROOMS = filesBelow('docs/decisions').filter((file) => !file.endsWith('/README.md'));

  test('have each a reason and a drawback', () => {
    const all = ROOMS.flatMap((file) =>
      split(read(file))
        .prose.split(/^## /m)
        .slice(1)
        .map((text) => ({ file, text })),
    );
    expect(all.length).toBeGreaterThan(80);
    expect(all.filter(({ text }) => !/^Why: \S/m.test(text) || !/^Drawback: \S/m.test(text))).toEqual([]);
  });

  test('are all in the list of rooms', () => {
    expect(ROOMS.filter((file) => !read('docs/decisions/README.md').includes(`(${file.split('/').at(-1)})`))).toEqual(
      [],
    );
  });
});

test('a folder of a repository is moved by mv -T: where its account has got an empty folder meanwhile, mv alone moves it into that folder', () => {
  const moves = DOCUMENTS.flatMap((file) =>
    split(read(file)).blocks.flatMap(({ text }) => [...text.matchAll(/\bmv [^&;\n]*/g)].map(([move]) => move)),
  ).filter((move) => / (\/|\.\/)?repos\//.test(move));
  expect(moves.length).toBeGreaterThan(4);
  expect(moves.filter((move) => !move.startsWith('mv -T '))).toEqual([]);
});

test('each entry of the changelog is one line that begins with its kind', () => {
  const entries = read('CHANGELOG.md').match(/^[-*\t ].*$/gm) ?? [];
  expect(entries.length).toBeGreaterThan(20);
  expect(entries.filter((line) => !/^- (Security|Fixed|Added|Changed): \S.*\.$/.test(line))).toEqual([]);
});

test('the version is that of package.json', () => {
  expect(JSON.parse(read('package.json')).version).toBe(VERSION);
});
