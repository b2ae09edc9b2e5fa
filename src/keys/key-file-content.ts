import type { AuthorizedKey } from '../accounts/authorized-key.ts';
import type { Finding } from '../accounts/finding.ts';
import type { ReadDirectives } from './directives.ts';

/** What one key file declares, and what is wrong with it. */
export type KeyFile = ReadDirectives & {
  readonly keys: readonly AuthorizedKey[];
  readonly findings: readonly Finding[];
};
