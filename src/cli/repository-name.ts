/**
 * The path below /repos that somebody means with NAME, NAME/FOLDER or /repos/NAME.
 *
 * @returns null where it can be that of no repository
 */
export const repositoryNamed = (name: string): string | null => {
  const path = name.replace(/^\/repos\//, '').replace(/\/+$/, '');
  return path.split('/').some((part) => part === '' || part.startsWith('.')) ? null : path;
};
