// Starts borgserver.js, which lies beside it, for a command, with what V8 has compiled of it before: a third to a half of what a short
// command costs is compiling. Not by NODE_COMPILE_CACHE: every program that the command starts would inherit that. The cache is made
// where the program is installed, and is root's. Where there is none for this Node and this processor, V8 compiles as ever.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Portable: found by where it lies from the program, not by the path at which it was made.
enableCompileCache({ directory: join(import.meta.dirname, 'compile-cache'), portable: true });
await import('./borgserver.js');
