import type { BuildLine } from "./wire.ts";

/** Shows a build while it runs. */
export interface Progress {
  line(line: BuildLine): void;
  /** The build is over, in whatever way: leaves the screen tidy. */
  end(): void;
}

export const SILENT: Progress = { line() {}, end() {} };

export interface Vertex {
  readonly id: string;
  readonly number: number;
  readonly name: string;
  state: "waiting" | "running" | "done" | "cached" | "failed" | "cancelled";
  startedAt?: number;
  completedAt?: number;
  reason: string;
  error?: string;
}

/** The vertices of a build, numbered in the order in which they began. */
export class Vertices {
  readonly #byId = new Map<string, Vertex>();

  /** The vertex after this line; undefined as long as it only waits. */
  update(line: Extract<BuildLine, { type: "vertex" }>, reason: string): Vertex | undefined {
    const known = this.#byId.get(line.id);
    if (known === undefined && line.state === "waiting") return undefined;
    const vertex = known ?? this.#add(line);
    vertex.state = line.state;
    if (line.startedAt !== undefined) vertex.startedAt = line.startedAt;
    if (line.completedAt !== undefined) vertex.completedAt = line.completedAt;
    if (reason !== "") vertex.reason = reason;
    if (line.error !== undefined) vertex.error = line.error;
    return vertex;
  }

  get(id: string): Vertex | undefined {
    return this.#byId.get(id);
  }

  all(): Vertex[] {
    return [...this.#byId.values()];
  }

  #add(line: Extract<BuildLine, { type: "vertex" }>): Vertex {
    const vertex: Vertex = { id: line.id, number: this.#byId.size + 1, name: line.name, state: line.state, reason: "" };
    this.#byId.set(line.id, vertex);
    return vertex;
  }
}

export function isOver(vertex: Vertex): boolean {
  return vertex.state !== "running" && vertex.state !== "waiting";
}

/** `12.3s`, of milliseconds. */
export function secondsText(milliseconds: number): string {
  return `${(Math.max(milliseconds, 0) / 1000).toFixed(1)}s`;
}
