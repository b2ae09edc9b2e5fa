const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

/**
 * Reads a size as borg's --storage-quota takes it: a number and K, M, G, T or P, powers of 1000 (borg/archiver.py, parse_storage_quota;
 * borg/helpers/parseformat.py, parse_file_size).
 *
 * @returns bytes; null where it is no size
 */
export const readSize = (text: string): number | null => {
  const match = /^(\d{1,15}(?:\.\d{1,15})?)([KMGTP]?)$/.exec(text);
  return match && Math.round(Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1));
};

/** Bytes as readSize reads them back, in the largest unit that leaves at most three decimals: 50G, 1.5T, 12345678. */
export const sizeText = (bytes: number): string => {
  const unit = ['P', 'T', 'G', 'M', 'K'].find((each) => {
    const factor = UNITS[each] ?? 1;
    return bytes >= factor && bytes % (factor / 1000) === 0;
  });
  return unit ? `${bytes / (UNITS[unit] ?? 1)}${unit}` : String(bytes);
};

/** 1.2 MB; '?' where it is unknown. Decimal, as borg counts. */
export const renderBytes = (bytes: number | null): string => {
  if (bytes === null) return '?';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const step = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${step === 0 ? bytes : (bytes / 1000 ** step).toFixed(1)} ${units[step]}`;
};

/** Gigabytes for a line of figures that are compared: 12.3, and 0.042 below one. */
export const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(bytes < 1e9 ? 3 : 1);
