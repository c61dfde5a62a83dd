import { humanSize } from "@slipway/base";
import type { Output } from "../io.ts";
import { isOver, type Progress, secondsText, type Vertex, Vertices } from "./progress.ts";
import { reasonText } from "./reasons.ts";
import type { BuildLine } from "./wire.ts";

/** One line for each thing that happens, as BuildKit's plain output: for logs and pipes. */
export class PlainProgress implements Progress {
  readonly #output: Output;
  readonly #vertices = new Vertices();
  readonly #partial = new Map<string, string>();
  #current: Vertex | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  line(line: BuildLine): void {
    switch (line.type) {
      case "vertex":
        this.#vertex(line);
        return;
      case "log":
        this.#log(line.vertex, Buffer.from(line.data, "base64").toString(), line.time);
        return;
      case "status":
        if (line.completed)
          this.#status(line.vertex, `${line.id}${line.total ? ` ${humanSize(line.total)}` : ""} done`);
        return;
      case "warning":
        this.#output.write(`\nWARNING: ${line.message}\n`);
        return;
    }
  }

  end(): void {
    for (const [id, text] of this.#partial) if (text !== "") this.#log(id, "\n", Date.now());
  }

  #vertex(line: Extract<BuildLine, { type: "vertex" }>): void {
    const wasOver = isOverBefore(this.#vertices.get(line.id));
    const vertex = this.#vertices.update(line, reasonText(line.reasons));
    if (vertex === undefined || wasOver) return;
    const known = this.#current === vertex;
    if (vertex.state === "running") {
      this.#turnTo(vertex);
      if (!known || line.reasons !== undefined) this.#sayReason(vertex);
      return;
    }
    if (!isOver(vertex)) return;
    this.#finishLine(vertex);
    this.#turnTo(vertex);
    this.#output.write(`#${vertex.number} ${outcome(vertex)}\n`);
    this.#current = undefined;
  }

  #sayReason(vertex: Vertex): void {
    if (vertex.reason === "") return;
    this.#output.write(`#${vertex.number} ran because ${vertex.reason}\n`);
    vertex.reason = "";
  }

  /** Introduces a vertex when another one spoke last. */
  #turnTo(vertex: Vertex): void {
    if (this.#current === vertex) return;
    if (this.#current !== undefined) this.#output.write(`#${this.#current.number} ...\n`);
    this.#output.write(`\n#${vertex.number} ${vertex.name}\n`);
    this.#current = vertex;
  }

  #log(id: string, text: string, time: number): void {
    const vertex = this.#vertices.get(id);
    if (vertex === undefined) return;
    const lines = ((this.#partial.get(id) ?? "") + text).split("\n");
    this.#partial.set(id, lines.pop() ?? "");
    if (lines.length === 0) return;
    this.#turnTo(vertex);
    const at = ((time - (vertex.startedAt ?? time)) / 1000).toFixed(3);
    for (const line of lines) this.#output.write(`#${vertex.number} ${at} ${line.replace(/\r$/, "")}\n`);
  }

  #finishLine({ id, completedAt }: Vertex): void {
    if (this.#partial.get(id)) this.#log(id, "\n", completedAt ?? Date.now());
  }

  #status(id: string, text: string): void {
    const vertex = this.#vertices.get(id);
    if (vertex === undefined) return;
    this.#turnTo(vertex);
    this.#output.write(`#${vertex.number} ${text}\n`);
  }
}

function isOverBefore(vertex: Vertex | undefined): boolean {
  return vertex !== undefined && isOver(vertex);
}

function outcome(vertex: Vertex): string {
  switch (vertex.state) {
    case "cached":
      return "CACHED";
    case "cancelled":
      return "CANCELED";
    case "failed":
      return `ERROR: ${vertex.error?.split("\n")[0] ?? "failed"}`;
    default:
      return `DONE ${secondsText((vertex.completedAt ?? 0) - (vertex.startedAt ?? vertex.completedAt ?? 0))}`;
  }
}
