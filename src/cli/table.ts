/**
 * A table for a person: columns as wide as their widest cell, and the last column cut where the terminal ends. Cells must be
 * printable already.
 *
 * @param width the terminal's columns, or undefined where nothing need be cut
 */
export const renderTable = (head: readonly string[], rows: readonly (readonly string[])[], width?: number): string => {
  const widths = head.map((title, column) =>
    Math.max(lengthOf(title), ...rows.map((row) => lengthOf(row[column] ?? ''))),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) =>
      width === undefined || lengthOf(line) <= width ? line : `${[...line].slice(0, width - 1).join('')}…`,
    )
    .join('\n');
};

const lengthOf = (text: string): number => [...text].length;

/** 1.2 MB; '?' where it is unknown. Decimal, as borg counts. */
export const renderBytes = (bytes: number | null): string => {
  if (bytes === null) return '?';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const step = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${step === 0 ? bytes : (bytes / 1000 ** step).toFixed(1)} ${units[step]}`;
};

/** 3 s, 5 min, 2 h, 4 d: the largest unit of which there are two, so that 119 s and 47 h are told. */
export const renderDuration = (seconds: number): string => {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
  ] as const;
  const [name, size] = units.find(([, each]) => seconds >= 2 * each) ?? ['s', 1];
  return `${Math.floor(seconds / size)} ${name}`;
};
