import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseServeArguments, shellQuote } from '../../src/borg/serve-arguments.ts';

const words = (text: string): readonly string[] => {
  const parsed = parseServeArguments('REPO_SERVE_EXTRA_ARGS', text);
  return 'words' in parsed ? parsed.words : [`refused: ${parsed.problems.join('; ')}`];
};
const problems = (text: string): string => {
  const parsed = parseServeArguments('REPO_SERVE_EXTRA_ARGS', text);
  return 'problems' in parsed ? parsed.problems.join('\n') : `accepted: ${parsed.words.join(' ')}`;
};

describe('extra arguments for borg serve', () => {
  test('are split as a shell splits plain words', () => {
    expect(words('')).toEqual([]);
    expect(words('  --progress   --storage-quota 20G ')).toEqual(['--progress', '--storage-quota=20G']);
    expect(words(`"--storage-quota" '1.5'T --lock-wait=\\60`)).toEqual(['--storage-quota=1.5T', '--lock-wait=60']);
    expect(problems('--progress "x')).toContain('a quote that is not closed');
    expect(problems('"--storage-quota 20G"')).toContain('is one word, by the quotes around it');
  });

  test('take what narrows an account or sets how borg reports, and real borg takes the same', async () => {
    const all =
      '--storage-quota 20G --append-only --lock-wait 5 -p --progress --critical --error --warning --info -v --verbose --debug --debug-topic repository --log-json --iec --show-version --show-rc';
    const { exitCode, stderr } = await execa('borg', ['serve', ...words(all)], { stdin: 'ignore', reject: false });
    expect(stderr).not.toMatch(/usage|error:/);
    expect(exitCode).toBe(0);
  });

  test.each([
    '--restrict-to-path /',
    '--restrict-to-repository=/repos/other',
    '--umask 0000',
    '--debug-profile /etc/passwd',
    '--bypass-lock',
    '--remote-path /bin/sh',
    '--rsh sh',
    '--upload-ratelimit 5',
    '--consider-part-files',
    '--help',
    '-V',
  ])('name the reason why %s is refused', (text) => {
    expect(problems(text)).toMatch(/^REPO_SERVE_EXTRA_ARGS: \S+ is refused: \w/);
    expect(problems(text)).not.toContain('\n');
  });

  test("take no abbreviation, which borg's own parser would", async () => {
    expect(problems('--restrict-to-p /')).toContain('write --restrict-to-path in full');
    expect(problems('--append')).toContain('write --append-only in full');
    expect(problems('--restrict-to-r=/')).toContain('abbreviation');
    const { exitCode } = await execa('borg', ['serve', '--restrict-to-p', '/'], { stdin: 'ignore', reject: false });
    expect(exitCode).toBe(0);
  });

  test.each([
    ['--storage-quota 0', 'at least 10M'],
    ['--storage-quota 9M', 'at least 10M'],
    ['--storage-quota 20g', "not '20g'"],
    ['--storage-quota 1e9', 'a size as borg writes it'],
    ['--storage-quota', 'needs a size'],
    ['--storage-quota --progress', 'needs a size'],
    ['--lock-wait -1', 'whole number of seconds'],
    ['--debug-topic $(id)', 'loggers'],
    ['--progress=yes', 'takes no value'],
    ['-pv', 'is not an option'],
    ['--', 'is'],
    ['create', "'create' is not an option"],
    ['$(reboot)', 'is not an option'],
    ['--progress\n--append-only', 'line break'],
    ['--progress\u0000', 'control character'],
    ['constructor', 'is not an option'],
  ])('refuse %j', (text, problem) => {
    expect(problems(text)).toContain(problem);
    expect(problems(text)).toMatch(/^REPO_SERVE_EXTRA_ARGS: /);
  });

  test('list every problem, and print nothing that a terminal would obey', () => {
    expect(problems('--umask 7 \u001b[2J x --storage-quota 1').split('\n')).toHaveLength(1);
    expect(problems('--umask 7 x --storage-quota 1').split('\n')).toHaveLength(3);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(problems(text).replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  test('never hold a word that a shell would do anything with', () => {
    const piece = fc.constantFrom(
      ...'--storage-quota;--debug-topic;--progress;=;20G;$(id);`id`;;; ;\';";\\;a;#;&;|;>;*'.split(';'),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const parsed = parseServeArguments('X', pieces.join(''));
        for (const word of 'words' in parsed ? parsed.words : []) expect(word).toMatch(/^-[A-Za-z0-9_.=-]+$/);
      }),
    );
  });
});

describe('a quoted word', () => {
  test('is that word to a shell', async () => {
    for (const word of ['', 'a b', "it's", '$(id)', '--storage-quota=20G', '"\\`*?#;&|']) {
      const { stdout } = await execa('/bin/sh', ['-c', `printf %s ${shellQuote(word)}`]);
      expect(stdout).toBe(word);
    }
  });

  test('cannot have a line break', () => {
    expect(() => shellQuote('a\nForceCommand sh')).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'not-quotable' }) }),
    );
  });
});
