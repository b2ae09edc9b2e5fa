/**
 * The number of the last transaction that left a file of this kind. Between two commits there may be the files of both: borg removes
 * the older ones last. Null where there is none.
 */
export const lastNumber = (names: Iterable<string>, kind: 'index' | 'hints' | 'integrity'): number | null => {
  const form = new RegExp(`^${kind}\\.(\\d{1,15})$`);
  const found = [...names].flatMap((name) => form.exec(name)?.[1] ?? []).map(Number);
  return found.length > 0 ? Math.max(...found) : null;
};
