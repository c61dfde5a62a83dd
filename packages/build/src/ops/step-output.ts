import type { Report } from "../flights.ts";

const LAST_LINES = 20;
const LAST_BYTES = 16 * 1024;
const REDACTED = "***";
/** Shorter secrets would blacken half of the output. */
const SHORTEST_SECRET = 4;

/** A step's output on its way to those who watch: secrets are taken out, and the last lines kept for an error. */
export class StepOutput {
  readonly #report: Report;
  readonly #secrets: readonly string[];
  /** By stream, what may be the beginning of a secret: never more than the longest of them. */
  readonly #held = { stdout: "", stderr: "" };
  #tail = "";

  constructor(report: Report, secrets: readonly Uint8Array[]) {
    this.#report = report;
    // The longest first: one may begin with another.
    this.#secrets = secrets
      .map((value) => Buffer.from(value).toString("latin1").trim())
      .filter((text) => text.length >= SHORTEST_SECRET)
      .sort((a, b) => b.length - a.length);
  }

  write(stream: "stdout" | "stderr", data: Uint8Array): void {
    if (this.#secrets.length === 0) {
      this.#show(stream, data);
      return;
    }
    const text = this.#held[stream] + Buffer.from(data).toString("latin1");
    const { shown, held } = redact(text, this.#secrets);
    this.#held[stream] = held;
    if (shown !== "") this.#show(stream, Buffer.from(shown, "latin1"));
  }

  /** Shows what was held back: no more output comes that could make a secret of it. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#held[stream];
      this.#held[stream] = "";
      if (rest !== "") this.#show(stream, Buffer.from(rest, "latin1"));
    }
  }

  lastLines(): string[] {
    const lines = Buffer.from(this.#tail, "latin1").toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(-LAST_LINES);
  }

  #show(stream: "stdout" | "stderr", data: Uint8Array): void {
    this.#tail = (this.#tail + Buffer.from(data).toString("latin1")).slice(-LAST_BYTES);
    this.#report({ type: "log", stream, time: Date.now(), data });
  }
}

/** `held` is an end of the text with which a secret may begin; only output that looks like a secret waits. */
function redact(text: string, secrets: readonly string[]): { readonly shown: string; readonly held: string } {
  const beginning = Math.min(...secrets.map((secret) => beginningOf(secret, text)));
  let shown = "";
  let at = 0;
  while (at < text.length) {
    const [found, length] = nextSecret(text, at, secrets);
    const held = Math.max(beginning, at);
    if (held <= found) return { shown: shown + text.slice(at, held), held: text.slice(held) };
    shown += text.slice(at, found) + REDACTED;
    at = found + length;
  }
  return { shown, held: "" };
}

function nextSecret(text: string, from: number, secrets: readonly string[]): readonly [at: number, length: number] {
  let next: readonly [number, number] = [text.length, 0];
  for (const secret of secrets) {
    const at = text.indexOf(secret, from);
    if (at >= 0 && at < next[0]) next = [at, secret.length];
  }
  return next;
}

/** Where the longest end of the text begins that is a part of the secret from its first byte; the text's length if none. */
function beginningOf(secret: string, text: string): number {
  const [first = ""] = secret;
  let at = text.indexOf(first, Math.max(0, text.length - secret.length + 1));
  while (at >= 0 && !secret.startsWith(text.slice(at))) at = text.indexOf(first, at + 1);
  return at < 0 ? text.length : at;
}
