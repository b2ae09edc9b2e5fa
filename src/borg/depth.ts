/**
 * How many folders below one of /repos a repository may lie to be known to the server: /repos/web01/a/b/c/d. Accounts make none
 * deeper (DEEPEST in image/launcher/depth.py).
 */
export const DEEPEST = 4;
