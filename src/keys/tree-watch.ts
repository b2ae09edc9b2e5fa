/** A running watch. `close` resolves when it holds nothing open any more. */
export type TreeWatch = { readonly close: () => Promise<void> };
