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
  #tail = "";

  constructor(report: Report, secrets: readonly Uint8Array[]) {
    this.#report = report;
    this.#secrets = secrets
      .map((value) => Buffer.from(value).toString("latin1").trim())
      .filter((text) => text.length >= SHORTEST_SECRET);
  }

  write(stream: "stdout" | "stderr", data: Uint8Array): void {
    const shown = this.#redact(data);
    this.#tail = (this.#tail + Buffer.from(shown).toString("latin1")).slice(-LAST_BYTES);
    this.#report({ type: "log", stream, time: Date.now(), data: shown });
  }

  lastLines(): string[] {
    const lines = Buffer.from(this.#tail, "latin1").toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(-LAST_LINES);
  }

  #redact(data: Uint8Array): Uint8Array {
    if (this.#secrets.length === 0) return data;
    const text = Buffer.from(data).toString("latin1");
    const clean = this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
    return clean === text ? data : Buffer.from(clean, "latin1");
  }
}
