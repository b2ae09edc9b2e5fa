/** A moment as ISO 8601 in UTC, in whole seconds. @param at milliseconds since the epoch */
export const timeText = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

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

/** How long before `now` it was, both in milliseconds: `3 min ago`. A time after `now` counts as now. */
export const ago = (then: number, now: number): string => `${renderDuration(Math.max(0, now - then) / 1000)} ago`;
