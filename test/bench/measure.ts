/** One line of the table: our figure, the figure that it is compared with (if any), both in `unit`, and the goal. */
export type Row = {
  readonly part: string;
  readonly what: string;
  readonly unit: 'ms' | 'MB' | '' | 's/h' | 'MB/s';
  readonly ours: number;
  readonly beside?: { readonly what: string; readonly figure: number };
  /** The limit for our figure, for its ratio to beside, or for its difference from beside. It may be at most that, or with `least` at least that. */
  readonly goal?: { readonly of: 'ours' | 'ratio' | 'difference'; readonly limit: number; readonly least?: true };
  readonly note?: string;
};

export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low = Number.NaN, high = low] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
};

/** Measures several, one after the other in each round. Each is first in turn, so that a busy moment or a warm cache hits all. */
export const inTurn = async <Each>(
  all: readonly Each[],
  rounds: number,
  measure: (each: Each, round: number) => Promise<number>,
): Promise<(each: Each) => readonly number[]> => {
  const found = new Map(all.map((each): [Each, number[]] => [each, []]));
  for (let round = 0; round < rounds; round += 1) {
    const first = round % all.length;
    for (const each of [...all.slice(first), ...all.slice(0, first)]) found.get(each)?.push(await measure(each, round));
  }
  return (each) => found.get(each) ?? [];
};

/** Milliseconds that the action takes. */
export const timed = async (action: () => unknown): Promise<number> => {
  const start = performance.now();
  await action();
  return performance.now() - start;
};

/** The same several times, one after the other. `prepare` is not measured. */
export const times = async (
  count: number,
  action: (round: number) => unknown,
  prepare?: (round: number) => unknown,
): Promise<number[]> => {
  const found: number[] = [];
  for (let round = 0; round < count; round += 1) {
    await prepare?.(round);
    found.push(await timed(() => action(round)));
  }
  return found;
};

export type Judged = Row & { readonly ratio: number | null; readonly met: boolean | null };

/** A row with the ratio worked out and its goal judged. */
export const judge = (row: Row): Judged => {
  const ratio = row.beside ? row.ours / row.beside.figure : null;
  if (!row.goal) return { ...row, ratio, met: null };
  const figure = { ours: row.ours, ratio: ratio ?? Number.NaN, difference: row.ours - (row.beside?.figure ?? 0) }[
    row.goal.of
  ];
  return { ...row, ratio, met: row.goal.least ? figure >= row.goal.limit : figure <= row.goal.limit };
};

const shown = (figure: number): string =>
  figure >= 100 ? figure.toFixed(0) : figure >= 10 ? figure.toFixed(1) : figure.toFixed(2);

/** The table as text for a person. */
export const renderTable = (rows: readonly Judged[]): string => {
  const cells = rows.map((row) => [
    row.part,
    row.what,
    `${shown(row.ours)} ${row.unit}`.trim(),
    row.beside ? `${row.beside.what}: ${shown(row.beside.figure)} ${row.unit}`.trim() : '',
    row.ratio === null ? '' : `${shown(row.ratio)} ×`,
    row.goal ? `${goalText(row.goal)} ${row.met ? 'met' : 'MISSED'}` : '',
    row.note ?? '',
  ]);
  const table = [['', 'what', 'this server', 'beside', 'ratio', 'goal', 'note'], ...cells];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const goalText = ({ of, limit, least }: NonNullable<Row['goal']>): string =>
  `${of === 'ours' ? '' : `${of} `}${least ? '≥' : '≤'} ${limit}`;
