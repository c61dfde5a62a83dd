/** Milliseconds for which one piece of work may hold everything else up. */
const PATIENCE = 5;

/** The same items; now and then everybody else comes first. What was known of an item before may be past when it comes. */
export async function* breathing<T>(items: Iterable<T>): AsyncGenerator<T> {
  let since = performance.now();
  for (const item of items) {
    if (performance.now() - since > PATIENCE) {
      await breath();
      since = performance.now();
    }
    yield item;
  }
}

/** Lets everybody else come first once. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
