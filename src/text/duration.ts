const SECONDS: Readonly<Record<string, number>> = { min: 60, h: 3600, d: 86_400, w: 604_800 };

/**
 * Reads a duration as a person writes it: a whole number and min, h, d or w (`26h`, `3d`); `never` is Infinity.
 *
 * @returns seconds, or what is wrong with it, as the end of a sentence
 */
export const readDuration = (text: string): number | string => {
  if (text === 'never') return Infinity;
  const match = /^([1-9]\d{0,5})(min|h|d|w)$/.exec(text);
  const unit = SECONDS[match?.[2] ?? ''];
  return match && unit
    ? Number(match[1]) * unit
    : 'must be a number and min, h, d or w, for example 26h or 3d, or never';
};
