import { printable } from './accounts/printable.ts';

/** One line for a person from anything that was thrown: its words, then those of what caused it. */
export const describeError = (error: unknown): string => {
  if (error instanceof AggregateError) {
    const first = error.errors.slice(0, 3).map(describeError).join(', ');
    const more = error.errors.length > 3 ? ` and ${error.errors.length - 3} more` : '';
    return `${error.message}: ${first}${more}`;
  }
  if (!(error instanceof Error)) return printable(String(error), 500);
  const short = 'shortMessage' in error && typeof error.shortMessage === 'string' ? error.shortMessage : error.message;
  return printable(short, 500) + describeCause(error.cause);
};

const describeCause = (cause: unknown): string => {
  if (cause === undefined || cause === null) return '';
  if (cause instanceof Error) return `: ${describeError(cause)}`;
  if (typeof cause !== 'object') return `: ${printable(String(cause), 500)}`;
  const facts = Object.entries(cause)
    .filter(([key]) => key !== 'code')
    .map(([key, value]) => `${key}: ${printable(Array.isArray(value) ? value.join('; ') : String(value), 500)}`);
  return facts.length > 0 ? ` (${facts.join(', ')})` : '';
};
