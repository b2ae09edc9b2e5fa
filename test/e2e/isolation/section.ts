import { type Attempt, COLUMNS, type Column, LEGEND, type Verdict } from './cells.ts';
import { GROUPS } from './matrix.ts';

/** Where the section begins and ends in docs/isolation.md. */
export const BEGIN =
  '<!-- the isolation matrix: written by MATRIX=write npx vitest run --project e2e test/e2e/isolation.test.ts -->';
export const END = '<!-- end of the isolation matrix -->';

/** The verdicts of a run, by attempt and column. */
export type Results = ReadonlyMap<Attempt['id'], Readonly<Record<Column, Verdict>>>;

/** The programs of the last run in each place, such as `borg 1.4.0 and OpenSSH 10.0`. */
export type LastRuns = Readonly<Record<string, string>>;

/** Where a run took place. @param debian the name of the image's release, such as trixie; undefined without Docker */
export const placeOf = (debian: string | undefined): string =>
  debian === undefined ? 'without Docker' : `in the image of ${debian}`;

/** The section as docs/isolation.md has it, markers included, without a newline at its end. */
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
  const places = Object.keys(lastRuns).sort();
  return `Last run: ${places.map((place) => `${place} with ${lastRuns[place]}`).join(', ')}.`;
};

/** What the page says of the last runs. */
export const readLastRuns = (page: string): LastRuns => {
  const line = /^Last run: .*$/m.exec(page)?.[0] ?? '';
  const runs = line.matchAll(
    /(in the image of [a-z]+|without Docker) with (borg [0-9.]+ and OpenSSH [0-9.]+)(?=[,.])/g,
  );
  return Object.fromEntries([...runs].map(([, place, programs]) => [place, programs]));
};

/** The section that the page has now, or undefined. */
export const sectionOf = (page: string): string | undefined => {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  return from === -1 || to === -1 ? undefined : page.slice(from, to + END.length);
};
