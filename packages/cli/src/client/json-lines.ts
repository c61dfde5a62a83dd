/** The documents of a stream of JSON lines. A line that is not JSON is passed over. */
export async function* jsonLines<T>(body: ReadableStream<Uint8Array> | null): AsyncIterable<T> {
  for await (const line of textLines(body)) yield* parsed<T>(line);
}

/** The lines of a stream, without their ends. */
export async function* textLines(body: ReadableStream<Uint8Array> | null): AsyncIterable<string> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

function* parsed<T>(line: string): Iterable<T> {
  if (line.trim() === "") return;
  try {
    yield JSON.parse(line) as T;
  } catch {
    // A broken line of progress is no reason to give the command up.
  }
}
