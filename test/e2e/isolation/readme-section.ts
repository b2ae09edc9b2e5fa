import type { Target } from '../harness/server.ts';
import { type Attempt, COLUMNS, type Column, GROUPS, LEGEND, type Verdict } from './matrix.ts';

/** Where the section begins and ends in README.md. */
export const BEGIN =
  '<!-- the isolation matrix: written by MATRIX=write npx vitest run --project e2e test/e2e/isolation.test.ts -->';
export const END = '<!-- end of the isolation matrix -->';

/** The verdicts of a run, by attempt and column. */
export type Results = ReadonlyMap<Attempt['id'], Readonly<Record<Column, Verdict>>>;

/** With which programs each target ran last, such as `borg 1.4.0 and OpenSSH 10.0`. */
export type LastRuns = Readonly<Partial<Record<Target, string>>>;

const PLACES: Readonly<Record<Target, string>> = { container: 'in the image', namespace: 'without Docker' };

/** The section as README has it, markers included, without a newline at its end. */
export const renderSection = (results: Results, lastRuns: LastRuns): string => {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rows = GROUPS.flatMap(({ title, attempts }) => [
    row([`**${title}**`, ...COLUMNS.map(() => '')]),
    ...attempts.map(({ id, title: tried }) =>
      row([tried, ...COLUMNS.map((column) => results.get(id)?.[column] ?? '?')]),
    ),
  ]);
  return [
    BEGIN,
    '',
    ...LEGEND.map(([verdict, meaning]) => `- *${verdict}*: ${meaning}.`),
    '',
    row(['attempt', ...COLUMNS]),
    `|${' --- |'.repeat(COLUMNS.length + 1)}`,
    ...rows,
    '',
    lastRunLine(lastRuns),
    END,
  ].join('\n');
};

const lastRunLine = (lastRuns: LastRuns): string => {
  const said = Object.entries(PLACES).flatMap(([target, place]) => {
    const programs = lastRuns[target === 'container' ? 'container' : 'namespace'];
    return programs === undefined ? [] : [`${place} with ${programs}`];
  });
  return `Last run: ${said.join(', ')}.`;
};

/** What a README says of the last runs. */
export const readLastRuns = (readme: string): LastRuns => {
  const line = /^Last run: .*$/m.exec(readme)?.[0] ?? '';
  const of = (target: Target) =>
    new RegExp(`${PLACES[target]} with (borg [0-9.]+ and OpenSSH [0-9.]+)(?=[,.])`).exec(line)?.[1];
  const [container, namespace] = [of('container'), of('namespace')];
  return { ...(container !== undefined && { container }), ...(namespace !== undefined && { namespace }) };
};

/** The section that a README has now, or undefined. */
export const sectionOf = (readme: string): string | undefined => {
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  return from === -1 || to === -1 ? undefined : readme.slice(from, to + END.length);
};
