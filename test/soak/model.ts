import type { Access, Admission } from './access.ts';
import type { Edit } from './edits.ts';
import type { Tree } from './key-tree.ts';
import type { Action, Repositories } from './repositories.ts';

/** A connection that stays open. A backup has the lock of its path until it is finished. */
export type OpenSession = Admission & {
  readonly id: number;
  readonly how: 'idle' | 'borg' | 'backup';
  readonly path: string;
  readonly archive: string;
};

/** What the run expects of the server. */
export type Model = {
  readonly tree: Tree;
  readonly access: Access;
  readonly repositories: Repositories;
  /** The folders that are in /repos. */
  readonly folders: ReadonlySet<string>;
  /** The uid of every account so far, by name: it outlives the account, as its folder does. */
  readonly uids: ReadonlyMap<string, number>;
  readonly sessions: readonly OpenSession[];
};

export type Login = { readonly account: string; readonly key: number };

/** How the server looks for changes after a restart (WATCH). */
export type Watch = 'events' | 'polling';

export type Step =
  | ({
      readonly kind: 'edit';
      /** How the files are written, and who tells the server. */
      readonly manner: 'renamed' | 'in place';
      readonly told: 'by nobody' | 'by update-borgusers' | 'by SIGHUP';
    } & Edit)
  /** A key file is away for a moment, too short to count. */
  | { readonly kind: 'flap'; readonly path: string }
  | ({ readonly kind: 'borg'; readonly action: Action; readonly path: string; readonly archive: string } & Login)
  | ({ readonly kind: 'undo nothing'; readonly path: string; readonly archive: string } & Login)
  | ({ readonly kind: 'open' } & Omit<OpenSession, 'id' | 'role' | 'sub'>)
  | { readonly kind: 'close' | 'finish'; readonly id: number }
  | { readonly kind: 'end sessions'; readonly selector: { readonly account: string } | { readonly key: number } }
  | { readonly kind: 'check on the server'; readonly path: string }
  | { readonly kind: 'stop'; readonly refused: 'no' | 'contradiction' | 'missing folder'; readonly watch: Watch }
  | { readonly kind: 'power cut'; readonly watch: Watch }
  | { readonly kind: 'sshd dies'; readonly watch: Watch }
  | { readonly kind: 'daemon dies'; readonly watch: Watch }
  | { readonly kind: 'host dies' | 'borg changes' };
