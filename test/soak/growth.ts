import type { Look } from './server-processes.ts';

/** What one daemon was seen to use, in the order of time. */
export type Figures = readonly Pick<Look, 'memory' | 'files' | 'processes'>[];

/** Room for what comes and goes: sessions, a garbage collection that is late. */
const ROOM = { memory: 25, files: 12, processes: 12 } as const;
/** Below that a third tells nothing. */
const FEWEST = 9;

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

export type Growth = Readonly<Record<keyof typeof ROOM, readonly [first: number, last: number]>>;

/** The medians of the first and the last third, or null of a daemon that lived too short. */
export const growthOf = (figures: Figures): Growth | null => {
  if (figures.length < FEWEST) return null;
  const third = Math.floor(figures.length / 3);
  const pair = (what: keyof typeof ROOM): readonly [number, number] => [
    median(figures.slice(0, third).map((each) => each[what])),
    median(figures.slice(-third).map((each) => each[what])),
  ];
  return { memory: pair('memory'), files: pair('files'), processes: pair('processes') };
};

/** What has grown by more than what comes and goes. */
export const grown = (growth: Growth): readonly string[] =>
  (Object.keys(ROOM) as (keyof typeof ROOM)[])
    .filter((what) => growth[what][1] - growth[what][0] > ROOM[what])
    .map((what) => `${what}: ${growth[what].join(' at first, at last ')}`);
