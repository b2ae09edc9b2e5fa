/** One line of `borgserver doctor`. Every text is printable. */
export type Diagnosis = {
  readonly level: 'ok' | 'warning' | 'error';
  /** What was looked at, in one or two words. */
  readonly topic: string;
  readonly message: string;
  /** What to do. Null where all is right. */
  readonly cure: string | null;
};

export const ok = (topic: string, message: string): Diagnosis => ({ level: 'ok', topic, message, cure: null });

export const warning = (topic: string, message: string, cure: string): Diagnosis => ({
  level: 'warning',
  ...{ topic, message, cure },
});

export const error = (topic: string, message: string, cure: string): Diagnosis => ({
  level: 'error',
  ...{ topic, message, cure },
});
