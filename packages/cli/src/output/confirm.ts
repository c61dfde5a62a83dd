import type { Io } from "../io.ts";

/** Asks a question on stdout; only `y` is a yes. */
export async function confirm(question: string, io: Pick<Io, "stdin" | "stdout">): Promise<boolean> {
  io.stdout.write(`${question} [y/N] `);
  await io.stdout.flush();
  const answer = await readLine(io);
  return answer.trim().toLowerCase() === "y";
}

async function readLine(io: Pick<Io, "stdin">): Promise<string> {
  let line = "";
  const decoder = new TextDecoder();
  for await (const chunk of io.stdin.chunks()) {
    line += decoder.decode(chunk, { stream: true });
    const end = line.indexOf("\n");
    if (end >= 0) return line.slice(0, end);
  }
  return line;
}
