type Timer = { readonly cancel: () => void };

/** Time, in milliseconds. Tests bring their own. */
export type Clock = {
  /** Since the epoch. Somebody may set this clock. */
  readonly now: () => number;
  /** Of a steady clock. */
  readonly steady: () => number;
  readonly after: (milliseconds: number, action: () => void) => Timer;
  readonly every: (milliseconds: number, action: () => void) => Timer;
};

export const realClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  after: (milliseconds, action) => {
    // Node's timers count whole milliseconds of their own clock, and may fire one millisecond too early.
    const timer = setTimeout(action, Math.ceil(milliseconds) + 1);
    return { cancel: () => clearTimeout(timer) };
  },
  every: (milliseconds, action) => {
    const timer = setInterval(action, milliseconds);
    return { cancel: () => clearInterval(timer) };
  },
};
