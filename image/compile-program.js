// Has V8 compile those parts of the program that a command loads only when it needs them. It keeps the result beside them, as start.js does.
// It runs once, where the program is installed: later nothing can be kept.
import { readdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

const here = import.meta.dirname;
try {
  enableCompileCache({ directory: join(here, 'compile-cache'), portable: true });
} catch {
  // Node.js before 24.12 takes no object: V8 compiles as usual.
}
// esbuild names each part by a hash of its content.
const parts = readdirSync(here).filter((name) => /-[0-9A-Z]{8}\.js$/.test(name));
for (const part of parts) await import(`./${part}`);
