import * as z from 'zod';
import type { ListedKey } from '../accounts/key-list.ts';
import type { PassReport } from '../reconcile/pass.ts';
import type { Preparing } from '../reconcile/prepare.ts';
import type { RecentChange } from '../reconcile/recent-changes.ts';
import type { Alarm } from '../sessions/alarms.ts';
import type { Session, SessionView } from '../sessions/session.ts';
import type { Asked, History } from '../snapshots/kept-states.ts';
import type { ServerStatus } from './server-status.ts';

/** What may be asked over the control socket: one JSON object on one line. */
export const requestFormat = z.discriminatedUnion('command', [
  z.object({ command: z.literal('ping') }),
  z.object({
    command: z.literal('update'),
    dryRun: z.boolean(),
    /** Names of lost repositories whose loss the operator confirms. */
    confirm: z.array(z.string().max(255)).max(1000).optional(),
  }),
  z.object({ command: z.literal('progress') }),
  z.object({ command: z.literal('status') }),
  z.object({ command: z.literal('sessions') }),
  z.object({ command: z.literal('keys') }),
  z.object({
    command: z.literal('keep'),
    /** A path below /repos; null: all repositories. */
    repository: z.string().max(4096).nullable(),
    /** 'now', and the answer says what became of it; 'changed': in its time, and the answer does not wait. */
    when: z.enum(['now', 'changed']),
    /** After it, no snapshot is taken of this repository while that process lives. */
    holdFor: z.int().min(1).optional(),
    /** The command that has changed it. */
    what: z.string().max(200).optional(),
  }),
  z.object({
    /** What a borg that the operator runs asks (snapshots/questions.ts). */
    command: z.literal('ask'),
    question: z.string().max(4097),
    /** The command that runs it. */
    what: z.string().max(200),
  }),
  z.object({
    command: z.literal('history'),
    repository: z.string().max(4096),
    /** The operator has looked at it. */
    seen: z.boolean(),
  }),
  z.object({
    /** An undo has put a repository back as this snapshot has it: it is told, and kept. */
    command: z.literal('put-back'),
    repository: z.string().max(4096),
    number: z.int().min(1),
    /** Only what it had until this transaction; null: all of it. */
    transaction: z.int().min(0).nullable(),
    /** The snapshot of what was there until then. */
    former: z.int().min(1).nullable(),
  }),
  z.object({
    command: z.literal('remove-snapshots'),
    repository: z.string().max(4096),
    /** Their numbers; 'older': all but the newest. */
    which: z.union([z.array(z.int().min(1)).max(100_000), z.enum(['older', 'all'])]),
  }),
  z.object({ command: z.literal('end-sessions'), selector: z.string().min(1).max(512) }),
]);

export type ControlRequest = z.infer<typeof requestFormat>;

/** How the server is, for the health check. */
export type Health = {
  readonly state: 'serving' | 'stopping';
  readonly lastPassFailed: string | null;
  readonly port: number;
  /** Where sshd's log and the kernel disagreed, in the last day. */
  readonly alarms: readonly Alarm[];
};

/** What the pass did, and what earlier passes had done already. */
export type UpdateReply = PassReport & { readonly recent: readonly RecentChange[] };

/** What comes back, by command: one JSON object on one line, or `{ "error": … }`. */
export type ControlReplies = {
  readonly ping: Health;
  readonly update: UpdateReply;
  /** The part of an update that takes long and runs just now. Null: none. */
  readonly progress: { readonly preparing: Preparing | null };
  readonly status: ServerStatus;
  readonly sessions: readonly SessionView[];
  readonly keys: readonly ListedKey[];
  /** Empty after 'changed'. */
  readonly keep: readonly Asked[];
  readonly ask: { readonly answer: string };
  readonly history: History;
  readonly 'put-back': readonly Asked[];
  readonly 'remove-snapshots': { readonly removed: readonly number[] };
  /** The sessions that are being ended. */
  readonly 'end-sessions': readonly Session[];
};
