import type { Finding } from '../accounts/finding.ts';
import type { Logger } from '../log.ts';
import type { PassReport } from './pass.ts';

/**
 * Writes to the log what passes did: every change with its reason; a finding once until it changes, and once when it is gone; and
 * nothing where nothing changed.
 */
export const createReportLog = (log: Logger) => {
  let known: ReadonlyMap<string, Finding> = new Map();
  let failed: string | null = null;
  let stopped = false;

  return (report: PassReport): void => {
    for (const change of report.changes) {
      const { kind, ...facts } = change;
      log.info(withoutEmpty(facts), kind);
    }
    const findings = new Map(report.findings.map((finding) => [JSON.stringify(finding), finding]));
    for (const [id, finding] of findings) {
      if (!known.has(id)) log[finding.severity === 'error' ? 'error' : 'warn'](factsOf(finding), finding.code);
    }
    for (const [id, finding] of known) {
      if (!findings.has(id))
        log.info(
          { was: finding.code, file: finding.file, ...(finding.line !== null && { line: finding.line }) },
          'finding cured',
        );
    }
    known = findings;
    if (report.stopped && !stopped)
      log.error(
        { stopped: true },
        'updates are stopped: nothing is granted until the errors are cured; what is gone is revoked all the same',
      );
    if (!report.stopped && stopped) log.info('updates go on');
    stopped = report.stopped;
    if (report.failed !== null && report.failed !== failed)
      log.error({ error: report.failed }, 'the update could not be applied as a whole; it is tried again');
    failed = report.failed;
  };
};

const factsOf = ({ file, line, message, remedy }: Finding) => ({
  file,
  ...(line !== null && { line }),
  found: message,
  cure: remedy,
});

const withoutEmpty = (facts: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined && value !== ''));
