import { ROLE_FOLDERS } from '../../src/accounts/role.ts';
import { changedPaths, contradictions } from './edits.ts';
import { findingsOf } from './findings.ts';
import { placeOf } from './key-tree.ts';
import type { Model, Step } from './model.ts';

/** One line for a person who reads the sequence of a failed run. */
export const describeStep = (step: Step): string => {
  if (step.kind === 'edit') return `${step.what}; ${step.manner}, told ${step.told}`;
  const { kind, ...facts } = step;
  return `${kind} ${JSON.stringify(facts)}`;
};

/** What a file that is read while it is half written may look like. */
const HALF_WRITTEN = [
  ...(['no-valid-key', 'malformed-key', 'private-key', 'forbidden-option', 'malformed-option'] as const),
  ...(['unknown-directive', 'bad-directive'] as const),
];

/** Findings, `CODE NAME`, that a step may cause, even if only while its files are written or moved. */
export const findingsAround = (step: Step, before: Model, after: Model): readonly string[] => {
  const lasting = [...findingsOf(before.tree, before.access), ...findingsOf(after.tree, after.access)];
  if (step.kind !== 'edit') return lasting;
  const names = changedPaths(before.tree, after.tree).map((path) => placeOf(path).name);
  const folders = [...before.tree.hidden, ...after.tree.hidden].map((role) => ROLE_FOLDERS[role]);
  return [
    ...lasting,
    ...(step.manner === 'in place' ? names.flatMap((name) => HALF_WRITTEN.map((code) => `${code} ${name}`)) : []),
    ...names.flatMap((name) => [`conflicting-roles ${name}`, `conflicting-names ${name}`]),
    ...folders.flatMap((folder) => [`folder-missing ${folder}`, `folder-unreadable ${folder}`]),
  ];
};

/** Whether the tree has a fault that keeps other accounts from gaining anything. It must not last for the whole run. */
export const inTrouble = ({ tree }: Model): boolean => contradictions(tree).length > 0 || tree.hidden.size > 0;
