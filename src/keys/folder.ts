import type { DeclaredAccount, FolderState } from '../accounts/declaration.ts';
import { errorAt, type Finding, type FindingCode } from '../accounts/finding.ts';

/** What a role folder declares, and what is wrong with it. */
export type Folder = {
  readonly state: FolderState;
  readonly accounts: readonly DeclaredAccount[];
  readonly findings: readonly Finding[];
};

const failed = (state: FolderState, code: FindingCode, file: string, message: string, remedy: string): Folder => ({
  state,
  accounts: [],
  findings: [errorAt(file, code, `${message}; its accounts stay as they are`, remedy)],
});

export const missing = (file: string): Folder =>
  failed(
    'missing',
    'folder-missing',
    file,
    'the folder is not there',
    'mount the key tree, or make the folder again; empty, it means nobody',
  );

export const unreadableFolder = (file: string, why: string): Folder =>
  failed(
    'unreadable',
    'folder-unreadable',
    file,
    `the folder cannot be read (${why})`,
    'check its permissions and its file system',
  );

export const outside = (file: string): Folder =>
  failed(
    'unreadable',
    'link-leaves-tree',
    file,
    'the folder is a link that leads out of the key tree',
    'make it a real folder',
  );
