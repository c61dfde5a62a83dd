/** The documents of a stream of JSON lines. A line that is not JSON is passed over. */
export async function* jsonLines<T>(body: ReadableStream<Uint8Array> | null): AsyncIterable<T> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield* parsed<T>(line);
  }
  yield* parsed<T>(rest + decoder.decode());
}

function* parsed<T>(line: string): Iterable<T> {
  if (line.trim() === "") return;
  try {
    yield JSON.parse(line) as T;
  } catch {
    // A broken line of progress is no reason to give the command up.
  }
}
