import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { PLACES } from '../../src/places.ts';

/** A command and all commands below it, each with the words that are typed for it. */
const commandsOf = (command: Command, before = ''): readonly (readonly [string, Command])[] => {
  const name = `${before}${command.name()}`;
  return [[name, command], ...command.commands.flatMap((each) => commandsOf(each, `${name} `))];
};

const helpOf = (command: Command): string => {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
};

/** The words of each example, without variables before them. */
const examplesOf = (command: Command): readonly (readonly string[])[] => {
  const [, text = ''] = helpOf(command).split('\nExample: ');
  return text
    .trim()
    .split('\n')
    .map((line) =>
      line
        .trim()
        .split(' ')
        .filter((word) => !/^[A-Z_]+=/.test(word)),
    );
};

const commands = commandsOf(createProgram(PLACES, '1.2.3', async () => {}));

test('there are commands within commands', () => {
  expect(commands.map(([name]) => name)).toContain('borgserver sessions end');
});

describe.each(commands)('%s --help', (name, command) => {
  test('ends with an example of this very command', () => {
    const examples = examplesOf(command);
    expect(examples.length).toBeGreaterThan(0);
    for (const words of examples) expect(`${words.join(' ')} `.startsWith(`${name} `)).toBe(true);
  });

  test('names in its example no option that it does not have', () => {
    const known = command.options.flatMap(({ long, short }) => [long, short]);
    const own = (words: readonly string[]) => words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
    const given = examplesOf(command).flatMap((words) => own(words).filter((word) => /^--?[a-z]/.test(word)));
    // Options that are handed on to borg or sshd are theirs.
    const foreign = ['borgserver sshd', 'borgserver borg', 'borgserver entrypoint'].includes(name);
    if (!foreign) expect(given.filter((word) => !known.includes(word))).toEqual([]);
  });
});
