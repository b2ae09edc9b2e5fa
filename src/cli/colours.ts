import type { WriteStream } from 'node:tty';

export type Colour = 'red' | 'yellow' | 'green' | 'plain';

const CODES: Readonly<Record<Exclude<Colour, 'plain'>, number>> = { red: 31, yellow: 33, green: 32 };

/** Colours only on a terminal that has them, and not if somebody asked for none (no-color.org). */
export const colouring = (stream: Pick<WriteStream, 'isTTY'>, env: Readonly<Record<string, string | undefined>>) => {
  const wanted = stream.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';
  return (text: string, colour: Colour): string =>
    wanted && colour !== 'plain' ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
};

export type Paint = ReturnType<typeof colouring>;
