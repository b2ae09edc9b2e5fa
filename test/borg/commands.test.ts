import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS, FAMILIES, wordsOfOption } from '../../src/borg/commands.ts';
import { findBorg } from '../../src/borg/interpreter.ts';

/** Walks the installed borg's own parser. Tells for each command the options with the words that they take, and its first positional. */
const ASK = `
import argparse, json
from borg.archiver import Archiver
found = {}
def walk(parser, path):
    options, first, below = {}, None, {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction): below = action.choices
        elif action.option_strings: options.update({name: 1 if action.nargs == 0 else 2 for name in action.option_strings})
        elif first is None: first = action.dest
    if not below: found[' '.join(path)] = {'options': options, 'first': first}
    for name in below: walk(below[name], path + [name])
walk(Archiver(prog='borg').build_parser(), [])
print(json.dumps(found))`;

type Parsed = Readonly<Record<string, { options: Record<string, 1 | 2>; first: string | null }>>;
let borg: Parsed;
beforeAll(async () => {
  const { python } = findBorg();
  borg = JSON.parse((await execa(python, ['-I', '-c', ASK])).stdout);
});

describe('the table of commands', () => {
  test('knows every command of the installed borg', () => {
    expect(Object.keys(borg).filter((name) => !Object.hasOwn(COMMANDS, name))).toEqual([]);
    for (const name of Object.keys(borg).filter((name) => name.includes(' '))) {
      expect(FAMILIES.has(name.split(' ')[0] ?? '')).toBe(true);
    }
  });

  test('knows which of them name a repository first', () => {
    for (const [name, { first }] of Object.entries(borg)) {
      const { kind } = COMMANDS[name] ?? { kind: 'missing' };
      if (kind !== 'refused' && name !== 'version')
        expect([name, kind === 'repository']).toEqual([name, first === 'location']);
    }
  });

  test('knows for every option whether it takes a value', () => {
    for (const [name, { options }] of Object.entries(borg)) {
      const command = name.split(' ')[0] ?? '';
      for (const [option, words] of Object.entries(options)) {
        expect([name, option, wordsOfOption(option, command)]).toEqual([name, option, words]);
      }
    }
  });
});
