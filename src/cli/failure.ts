import { printable } from '../accounts/printable.ts';

/**
 * Turns whatever was thrown into words for a person: what is wrong, then the facts of its cause, one a line. The only place
 * that does so.
 */
export const renderFailure = (error: unknown): string => {
  if (error instanceof AggregateError)
    return [error.message, ...error.errors.map((each) => `  ${renderFailure(each)}`)].join('\n');
  if (!(error instanceof Error)) return printable(String(error), 1000);
  return [printable(error.message, 1000), ...factsOf(error.cause)].join('\n');
};

const factsOf = (cause: unknown): string[] => {
  if (cause === undefined || cause === null) return [];
  if (cause instanceof Error) return [`  because: ${renderFailure(cause)}`];
  if (typeof cause !== 'object') return [`  ${printable(String(cause), 1000)}`];
  return Object.entries(cause).flatMap(([key, value]) => {
    if (key === 'code') return [];
    if (Array.isArray(value)) return value.map((each) => `  ${printable(String(each), 1000)}`);
    return [`  ${key}: ${printable(String(value), 1000)}`];
  });
};
