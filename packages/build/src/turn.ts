/** Fewer items than this are handled in so little time that nobody has to be let in between. */
const MANY = 1000;

/** After a long piece of work on many items: lets the event loop serve others. */
export function nextTurn(items: number): Promise<void> | undefined {
  return items < MANY ? undefined : new Promise((resolve) => setImmediate(resolve));
}
