/** `1 key`, `2 keys`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** The first few, with an ellipsis where there are more: `a, b, …`. */
export const firstOf = (names: readonly string[], most: number, count = names.length): string =>
  `${names.slice(0, most).join(', ')}${count > most ? ', …' : ''}`;
