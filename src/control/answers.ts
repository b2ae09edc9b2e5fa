import type { State } from '../accounts/account.ts';
import { listKeys } from '../accounts/key-list.ts';
import type { PassRecord } from '../reconcile/pass-record.ts';
import type { RecentChanges } from '../reconcile/recent-changes.ts';
import type { Scheduler } from '../reconcile/scheduler.ts';
import type { LastSeenRecord } from '../sessions/last-seen-record.ts';
import type { Tracker } from '../sessions/tracker.ts';
import type { Settings } from '../settings.ts';
import type { Keeper } from '../snapshots/kept-states.ts';
import { answersFrom } from '../snapshots/questions.ts';
import type { SessionHosting } from '../start/session-hosting.ts';
import type { SessionOutcomes } from '../start/session-outcomes.ts';
import type { ControlReplies, ControlRequest } from './protocol.ts';
import { type ServerStatus, serverStatus } from './server-status.ts';

/** What the server knows of itself at this moment. */
export type ServerNow = {
  state: 'serving' | 'stopping';
  /** The sessions that it has let in. */
  granted: State;
  /** Why the last update failed, or null if it did not. */
  lastPassFailed: string | null;
  /** The repository folders that an update is handing over just now, or null. */
  preparing: ControlReplies['progress']['preparing'];
};

type Answering = {
  readonly settings: Settings;
  readonly started: Pick<ServerStatus, 'borg' | 'openssh' | 'since' | 'box'>;
  readonly passes: PassRecord;
  readonly scheduler: Scheduler;
  readonly tracker: Tracker;
  readonly lastSeen: LastSeenRecord;
  readonly outcomes: Pick<SessionOutcomes, 'failed'>;
  readonly hosting: Pick<SessionHosting, 'state'>;
  readonly recent: RecentChanges;
  readonly keeper: Pick<Keeper, 'keep' | 'history' | 'isAppendOnly' | 'wasPutBack' | 'remove' | 'changed' | 'list'>;
  readonly now: Readonly<ServerNow>;
};

/** What the control socket answers to each request; see protocol.ts for the shapes. */
export const controlAnswers =
  ({ settings, started, passes, scheduler, tracker, lastSeen, outcomes, hosting, recent, keeper, now }: Answering) =>
  async (request: ControlRequest): Promise<ControlReplies[keyof ControlReplies]> => {
    switch (request.command) {
      case 'ping':
        return {
          state: now.state,
          lastPassFailed: now.lastPassFailed,
          port: settings.SSH_PORT,
          alarms: tracker.alarms(),
        };
      case 'update': {
        const before = recent.list();
        const { dryRun, confirm } = request;
        const confirmed = confirm && { confirmed: new Set(confirm) };
        return { ...(await scheduler.now({ occasion: 'asked', dryRun, ...confirmed })), recent: before };
      }
      case 'progress':
        return { preparing: now.preparing };
      case 'status':
        return {
          ...serverStatus(settings, started, passes, await tracker.list(), lastSeen.list(), tracker.alarms()),
          failedSessions: outcomes.failed(),
          sessionHost: hosting.state(),
          snapshots: keeper.list(),
        };
      case 'sessions':
        return tracker.list();
      case 'keys':
        return listKeys(now.granted, lastSeen.list(), new Date());
      case 'keep':
        if (request.what !== undefined) keeper.changed(request.repository, { kind: 'server', what: request.what });
        if (request.when === 'now') return keeper.keep(request.repository, { holdFor: request.holdFor });
        keeper.changed(request.repository);
        return [];
      case 'ask':
        return { answer: await answersFrom(keeper, { kind: 'server', what: request.what })(request.question) };
      case 'history':
        return keeper.history(request.repository, request.seen);
      case 'put-back':
        return keeper.wasPutBack(request.repository, request);
      case 'remove-snapshots':
        return { removed: await keeper.remove(request.repository, request.which) };
      case 'end-sessions':
        return tracker.end(request.selector);
    }
  };
