/** The engine's API as bare requests: what the long proofs do many thousand times. */
export class Api {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Any answer; rejects only when there is none. */
  fetch(method: string, path: string, init: Omit<BunFetchRequestInit, "unix" | "method"> = {}): Promise<Response> {
    return fetch(`http://engine${path}`, { ...init, unix: this.#socket, method });
  }

  /** The answer's document. Throws for a status of 400 and above. */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const json = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await this.fetch(method, path, body === undefined ? {} : json);
    const text = await response.text();
    if (response.status >= 400) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Lines of an answer that goes on, as they come. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.fetch("GET", path, { signal });
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
  }
}

/** Does something for each item, so many at a time. */
export async function eachOf<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
