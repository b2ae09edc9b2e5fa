/**
 * How many folders below a folder of /repos the server looks for repositories: /repos/web01/a/b/c/d. Accounts cannot make deeper
 * ones (DEEPEST in image/launcher/depth.py).
 */
export const DEEPEST = 4;
