/** The names that somebody may have meant who wrote `word`: the nearest first, at most five. */
export const nearNames = (word: string, names: readonly string[]): readonly string[] =>
  names
    .map((name) => ({ name, distance: distance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= Math.max(1, Math.min(3, word.length / 3)))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 5)
    .map(({ name }) => name);

/**
 * Counts letters to insert, remove, change, or swap with their neighbour (Damerau's distance, each letter touched once). Less
 * where one is the beginning of the other, like a host name and its FQDN.
 */
const distance = (a: string, b: string): number => {
  if (a !== '' && (b.startsWith(`${a}.`) || a.startsWith(`${b}.`))) return 1;
  if (Math.abs(a.length - b.length) > 3) return Infinity;
  let above: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const change = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      const swapped = i > 0 && j > 0 && a[i] === b[j - 1] && a[i - 1] === b[j];
      const swap = swapped ? (above[j - 1] ?? 0) + 1 : Infinity;
      next.push(Math.min(change, swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    above = row;
    row = next;
  }
  return row[b.length] ?? 0;
};
