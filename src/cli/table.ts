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
