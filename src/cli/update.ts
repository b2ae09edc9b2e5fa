import type { Change } from '../accounts/diff.ts';
import { directivesText } from '../accounts/directives.ts';
import type { Finding } from '../accounts/finding.ts';
import { askServer } from '../control/client.ts';
import type { UpdateReply } from '../control/protocol.ts';
import { failure, failureInLines } from '../failure.ts';
import type { Places } from '../places.ts';
import type { PassReport } from '../reconcile/pass.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { createPreparingText, whileServerWorks } from './preparing.ts';

/** 0: all is right; 1: applied, with errors among the findings; 2: stopped; 3: the pass failed. */
export const updateExitCode = (report: PassReport): 0 | 1 | 2 | 3 => {
  if (report.failed !== null) return 3;
  if (report.stopped) return 2;
  return report.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
};

/** The one JSON object of `update-borgusers --json`. Programs can rely on its fields. */
export const updateJson = (report: PassReport): string =>
  JSON.stringify({
    changes: report.changes.map(({ kind, account, reason }) => ({ kind, account, reason })),
    findings: report.findings,
    accounts: report.accounts,
    stopped: report.stopped,
    ...(report.failed !== null && { failed: report.failed }),
  });

/** What was done and why, then what was refused and how to cure it, for a person. */
export const updateText = (report: UpdateReply, dryRun: boolean): string => {
  const lines: string[] = [];
  if (report.recent.length > 0) {
    lines.push(
      'Done already, in the last minute:',
      ...report.recent.map((change) => `  ${describeChange(change)} (${change.secondsAgo} s ago)`),
      '',
    );
  }
  if (report.changes.length > 0) {
    lines.push(
      dryRun ? 'Would change:' : 'Changed:',
      ...report.changes.map((change) => `  ${describeChange(change)}`),
      '',
    );
  }
  const errors = report.findings.filter(({ severity }) => severity === 'error');
  const warnings = report.findings.filter(({ severity }) => severity === 'warning');
  if (errors.length > 0) lines.push('Refused:', ...errors.flatMap(describeFinding), '');
  if (warnings.length > 0) lines.push('Warnings:', ...warnings.flatMap(describeFinding), '');
  const directed = report.accounts.filter((account) => directivesText(account) !== '');
  if (directed.length > 0)
    lines.push('In force by key files:', ...directed.map((each) => `  ${each.name}: ${directivesText(each)}`), '');
  if (report.stopped)
    lines.push(
      'STOPPED: nothing is granted until the errors above are cured. What is gone from the keys has been revoked all the same.',
    );
  if (report.failed !== null) lines.push(`FAILED: ${report.failed}`);
  const settled = report.changes.length === 0 && !report.stopped && report.failed === null;
  lines.push(`${settled ? 'Nothing to change. ' : ''}${tally(report)}`);
  return lines.join('\n');
};

const SIGNS: Readonly<Record<Change['kind'], string>> = {
  'account-added': '+',
  'account-removed': '-',
  'account-changed': '~',
  'key-added': '+',
  'key-removed': '-',
  'key-changed': '~',
  'repository-created': '+',
  'repository-adopted': '~',
  'repository-repaired': '~',
  'database-repaired': '~',
  'authorized-keys-repaired': '~',
};

const describeChange = ({ kind, account, role, fingerprint, comment, reason }: Change): string => {
  const what = [kind.replaceAll('-', ' '), account, role && `(${role})`, fingerprint, comment && `'${comment}'`];
  return `${SIGNS[kind]} ${what.filter(Boolean).join(' ')}: ${reason}`;
};

const describeFinding = ({ file, line, message, code, remedy }: Finding): string[] => [
  `  ${file}${line === null ? '' : `:${line}`}: ${message} [${code}]`,
  `      cure: ${remedy}`,
];

const tally = ({ accounts }: PassReport): string => {
  const keys = accounts.reduce((sum, account) => sum + account.keys, 0);
  return `${plural(accounts.length, 'account')}, ${plural(keys, 'key')}.`;
};

/** `confirm`: names of lost repositories whose loss the operator confirms. */
export type UpdateOptions = { readonly json: boolean; readonly dryRun: boolean; readonly confirm?: readonly string[] };

/** Only a reported loss can be confirmed. A mistyped name would confirm nothing, and nobody would notice. */
const checkLost = async (places: Places, names: readonly string[]): Promise<void> => {
  const server = await askServer(places.run, { command: 'status' });
  const lost = new Set(server?.findings.filter(({ code }) => code === 'repository-lost').map(({ file }) => file));
  const wrong = names.filter((name) => !lost.has(`/repos/${name}`)).map((name) => printable(name, 100));
  if (wrong.length === 0) return;
  const found = server
    ? `not reported as lost: ${wrong.join(', ')}`
    : 'no server runs here, so nothing can be confirmed';
  throw failure(found, { code: 'nothing-to-confirm' });
};

/**
 * `update-borgusers`: a pass now, by the server that runs here, or in this process where none runs (in a container for one
 * command its result is gone with the container; that is useful to try a key tree).
 *
 * @returns the exit code, see updateExitCode; 3 where no pass was possible
 */
export const runUpdate = async (places: Places, options: UpdateOptions): Promise<number> => {
  if (options.confirm) {
    const { confirmsDisk, runConfirmDisk } = await import('./on-this-machine.ts');
    if (confirmsDisk(options.confirm)) return runConfirmDisk(places, options.confirm, options.dryRun);
  }
  const report = await obtainReport(places, options).catch((error: unknown) => failureInLines(error));
  if (typeof report === 'string') {
    console.error(report);
    return 3;
  }
  console.log(options.json ? updateJson(report) : updateText(report, options.dryRun));
  return updateExitCode(report);
};

const obtainReport = async (places: Places, { dryRun, confirm }: UpdateOptions): Promise<UpdateReply> => {
  if (confirm) await checkLost(places, confirm);
  const asked = askServer(places.run, { command: 'update', dryRun, ...(confirm && { confirm: [...confirm] }) });
  const answered = await whileServerWorks(places.run, asked);
  if (answered) return answered;
  const { updateAlone } = await import('./update-alone.ts');
  const text = createPreparingText(process.stderr);
  try {
    return { ...(await updateAlone(places, dryRun, text.at)), recent: [] };
  } finally {
    text.end();
  }
};
