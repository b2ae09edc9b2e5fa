import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { State } from '../accounts/account.ts';
import { readHostId } from '../borg/host-id.ts';
import { clearStaleLocks } from '../borg/stale-locks.ts';
import { controlAnswers, type ServerNow } from '../control/answers.ts';
import { controlSocket } from '../control/client.ts';
import { KEEP_SOCKET, startKeepSocket } from '../control/keep-socket.ts';
import { startControlServer } from '../control/server.ts';
import { failure, failureInOneLine } from '../failure.ts';
import { checkCapabilities } from '../host/capabilities.ts';
import { checkNobodyListens, checkPort } from '../host/port.ts';
import { checkRoleGroups } from '../host/system-accounts.ts';
import { checkTimeZone } from '../host/time-zone.ts';
import { watchTree } from '../keys/watch.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { createPass, type PassReport } from '../reconcile/pass.ts';
import { createPassRecord } from '../reconcile/pass-record.ts';
import { createRecentChanges } from '../reconcile/recent-changes.ts';
import { createReportLog } from '../reconcile/report-log.ts';
import { createScheduler } from '../reconcile/scheduler.ts';
import { openWorld } from '../reconcile/world.ts';
import { createHosted } from '../sessions/hosted.ts';
import { openLastSeenRecord } from '../sessions/last-seen-record.ts';
import { createMemoryOrder } from '../sessions/memory-order.ts';
import type { ProcessId } from '../sessions/process.ts';
import { readProcess } from '../sessions/processes.ts';
import type { Session } from '../sessions/session.ts';
import { createTracker } from '../sessions/tracker.ts';
import type { Settings } from '../settings.ts';
import { createKeeper } from '../snapshots/keeper.ts';
import { answersFrom } from '../snapshots/questions.ts';
import type { SshdEvent } from '../sshd/log.ts';
import type { Message } from '../sshd/message.ts';
import { type SshdExit, startSshd } from '../sshd/server.ts';
import { doubtfulMounts, prepareKeyTree } from '../start/first-start.ts';
import { requireLease } from '../start/lease.ts';
import { type LoginPlan, prepareLogin, serveArguments } from '../start/login-server.ts';
import { checkRepositoriesDisk, claimDisk, openWitnessKeeper } from '../start/repositories-disk.ts';
import { prepareRepositoriesFolder, SHARED_IDENTITIES } from '../start/repositories-folder.ts';
import { openHosting } from '../start/session-hosting.ts';
import { openSessionOutcomes } from '../start/session-outcomes.ts';
import { openCompactionRecord } from '../survey/compaction-record.ts';
import { realClock } from '../system/clock.ts';
import { collectGarbage, createIdleCollection } from './idle-collection.ts';
import { endSessions } from './shutdown.ts';
import { tellSshdEnded } from './sshd-ended.ts';
import { sshdLog } from './sshd-log.ts';
import { connectedTo, writerOf } from './writer.ts';

/**
 * Runs the server until it is told to stop or sshd ends. What it opens is closed in reverse order, also if a later step fails.
 *
 * @returns the exit code: 0 after SIGTERM or SIGINT, 1 when sshd ended by itself
 * @throws what makes a start impossible, with `cause`; then nobody is connected any more
 */
export const serve = async (settings: Settings, places: Places, log: Logger): Promise<number> => {
  serveArguments(settings);
  checkCapabilities(settings);
  await checkPort(settings.SSH_PORT);
  await checkTimeZone(process.env.TZ, Date.now());
  prepareRunFolder(places.run);
  checkRoleGroups(places.etc);
  checkRepositoriesDisk(places);
  for (const doubt of doubtfulMounts(places)) log.warn(doubt, 'is the right volume mounted?');
  prepareRepositoriesFolder(places, settings);
  if (settings.IDENTITIES === 'shared') log.warn({ uid: settings.PUID, gid: settings.PGID }, SHARED_IDENTITIES);
  const lease = await requireLease(places, 'stop the other one first');
  await using open = new AsyncDisposableStack();
  open.defer(lease.release);
  checkNobodyListens(settings.SSH_PORT);
  const hostId = readHostId(places);
  for (const lock of await clearStaleLocks(places, hostId))
    log.warn(
      lock,
      lock.failure === undefined
        ? 'removed a lock that a dead server left behind'
        : 'not all locks that a dead server may have left behind were found',
    );
  claimDisk(places, log);
  prepareKeyTree(places);
  return await run(settings, places, log, hostId, await prepareLogin(settings, places, hostId, log));
};

const prepareRunFolder = (path: string): void => {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chownSync(path, 0, 0);
  chmodSync(path, 0o755);
};

const run = async (
  settings: Settings,
  places: Places,
  log: Logger,
  hostId: string,
  plan: LoginPlan,
): Promise<number> => {
  await using open = new AsyncDisposableStack();
  const lastSeen = open.adopt(openLastSeenRecord(places.state, log), close);
  const now: ServerNow = { state: 'serving', granted: new Map(), lastPassFailed: null, preparing: null };
  const { first: least, last: most } = settings.UID_RANGE;
  const isAccount = (uid: number): boolean => uid === settings.PUID || (uid >= least && uid <= most);
  const hosted = createHosted(isAccount);
  const sessionOf = (each: ProcessId): Session | undefined => tracker.sessionOf(each);
  const connected = (account: string) => connectedTo(account, tracker.sessions());
  const taking = { places, python: plan.python, hostId };
  const keeper = open.adopt(createKeeper({ ...taking, settings, log, clock: realClock, connected }), close);
  const onWritten = (repository: string, session: Session): void => keeper.changed(repository, writerOf(session, true));
  const outcomes = open.adopt(openSessionOutcomes(places, log, sessionOf, hosted.connectionOf, onWritten), close);
  const hosting = open.adopt(openHosting(settings.SESSION_HOST, log, hosted, outcomes, sessionOf), close);
  const tracker = createTracker({
    log,
    port: settings.SSH_PORT,
    loginGraceSeconds: settings.LOGIN_GRACE_TIME,
    hideStrangers: ['QUIET', 'FATAL', 'ERROR'].includes(settings.SSH_LOG_LEVEL),
    sessionsPerAccount: settings.SESSIONS_PER_ACCOUNT,
    ...{ isAccount, hosted },
    onOpened: (session) => {
      lastSeen.note(session);
      outcomes.opened(session);
    },
    onClosed: (session) =>
      session.role === 'admin' ? keeper.changed(null) : keeper.changed(session.account, writerOf(session, false)),
    endOf: outcomes.endOf,
  });
  open.defer(tracker.close);
  const onAccess = (state: State): void => {
    // This comes first: no failure may delay a revocation.
    tracker.access(state);
    now.granted = state;
    lastSeen.granted(state);
    outcomes.granted(state);
    keeper.granted(state);
  };
  const passes = createPassRecord(failureInOneLine, Date.now);
  const onPreparing = (preparing: ServerNow['preparing']): void => {
    now.preparing = preparing;
  };
  const pass = passes.heard(createPass(openWorld(settings, places, log, onAccess, onPreparing, keeper.without)));
  const tell = createReportLog(log);
  const first = await pass({ occasion: 'asked', dryRun: false }, new AbortController().signal);
  tell(first);
  refuseIfStopped(first);
  const witness = openWitnessKeeper(places, log);
  witness.keep();

  const started = { ...plan.versions, box: plan.box, since: Date.now() };
  const recent = createRecentChanges(() => performance.now());
  const onReport = (report: PassReport): void => {
    now.lastPassFailed = report.failed;
    recent.add(report.changes);
    tell(report);
    witness.keep();
  };
  const onFailure = (error: unknown): void => {
    now.lastPassFailed = failureInOneLine(error);
    log.error({ error: now.lastPassFailed }, 'the update failed and gave nothing; it is tried again');
  };
  const collection = open.adopt(createIdleCollection(realClock, collectGarbage), close);
  const scheduler = open.adopt(
    createScheduler({
      pass: (...asked) => pass(...asked).finally(collection.passEnded),
      onReport,
      onFailure,
      resyncSeconds: settings.RESYNC_SECONDS,
      clock: realClock,
    }),
    close,
  );
  const answers = { settings, started, passes, scheduler, tracker, lastSeen, outcomes, hosting, recent, keeper, now };
  open.adopt(await startControlServer(controlSocket(places.run), controlAnswers(answers)), close);
  const onFault = (error: Error): void =>
    log.error(
      { error: failureInOneLine(error) },
      'the key tree cannot be watched just now; it is looked at every RESYNC_SECONDS',
    );
  const polling = settings.WATCH === 'polling';
  open.adopt(watchTree(places.sshkeys, { polling, onEvent: scheduler.changed, onFault }), close);

  await Promise.all([outcomes.listen(plan), hosting.start(plan)]);
  open.adopt(await startKeepSocket(join(places.run, KEEP_SOCKET), settings.PGID, answersFrom(keeper)), close);

  const ending = Promise.withResolvers<{ readonly told: string } | SshdExit>();
  const listening = Promise.withResolvers<'listening'>();
  const heard = {
    message: (message: Message): SshdEvent => {
      const event = tracker.message(message);
      if (event.kind === 'listening') listening.resolve('listening');
      return event;
    },
  };
  const memoryOrder = open.adopt(createMemoryOrder(isAccount), close);
  const sshd = await startSshd({
    sshd: plan.sshd,
    configPath: plan.config,
    ...{ python: plan.python, starter: plan.starter },
    onMessage: sshdLog(settings.SSH_LOG_LEVEL, log, heard),
    onExit: ending.resolve,
  });
  let grace = 0;
  const hurry = new AbortController();
  // What was opened above is closed after this: until then a removed key still ends its sessions.
  open.defer(async () => {
    await sshd.stop(() => {
      try {
        tracker.running();
      } catch (error) {
        log.warn({ error: failureInOneLine(error) }, 'stopping: the connections could not be looked at');
      }
    });
    await endSessions(grace, tracker.running, tracker, log, hurry.signal);
  });
  void listening.promise.then(() => sshd.pid !== undefined && memoryOrder.listens(sshd.pid));
  const sshdProcess = sshd.pid === undefined ? null : readProcess(sshd.pid);
  if (sshdProcess) tracker.listens(sshdProcess);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (now.state === 'stopping' ? hurry.abort() : ending.resolve({ told: signal })));
  }
  process.on('SIGHUP', () => void scheduler.now({ occasion: 'asked', dryRun: false }).catch(() => {}));
  const facts = { port: settings.SSH_PORT, accounts: first.accounts.length, findings: first.findings.length };
  if ((await Promise.race([listening.promise, ending.promise])) === 'listening') log.info(facts, 'serving');
  collection.passEnded();
  open.adopt(openCompactionRecord(places, log), close);
  keeper.begin();

  const end = await ending.promise;
  now.state = 'stopping';
  if (!('told' in end)) {
    tellSshdEnded(log, end);
    return 1;
  }
  log.info({ signal: end.told }, 'stopping: no new connection is accepted');
  grace = settings.STOP_GRACE_SECONDS;
  return 0;
};

const close = (each: { readonly close: () => void | Promise<void> }): void | Promise<void> => each.close();

/** At the start nobody uses the server yet: no server is better than one that lets half of them in. */
const refuseIfStopped = (report: PassReport): void => {
  if (report.failed !== null)
    throw failure('the accounts could not be made', { code: 'pass-failed', found: report.failed });
  if (!report.stopped) return;
  throw failure(
    'the key tree contradicts itself: cure the errors named above, or set STOP_ON=nothing to close only the names concerned',
    { code: 'stopped' },
  );
};
