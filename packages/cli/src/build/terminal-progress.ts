import type { Output } from "../io.ts";
import { Pace } from "../output/pace.ts";
import { isOver, type Progress, secondsText, type Vertex, Vertices } from "./progress.ts";
import { reasonText } from "./reasons.ts";
import type { BuildLine } from "./wire.ts";

/** Milliseconds between two pictures. */
const INTERVAL = 80;
/** Lines of output shown below a running step. */
const TAIL_LINES = 5;

interface Line {
  readonly text: string;
  /** Shown at the right edge. */
  readonly time?: string;
}

const MARKS: Readonly<Partial<Record<Vertex["state"], { readonly word: string; readonly color: string }>>> = {
  cached: { word: "CACHED", color: "36" },
  failed: { word: "ERROR", color: "31" },
  cancelled: { word: "CANCELED", color: "33" },
};

interface Tail {
  lines: string[];
  partial: string;
  status: string;
}

/**
 * Draws the build in place: steps that are over scroll up as single lines, running ones show their time and last output
 * below. What is over is never drawn again, so a build of any length costs the same and nothing flickers.
 */
export class TerminalProgress implements Progress {
  readonly #output: Output;
  readonly #color: boolean;
  readonly #vertices = new Vertices();
  readonly #tails = new Map<string, Tail>();
  readonly #paces = new Map<string, Pace>();
  readonly #printed = new Set<string>();
  readonly #warnings: string[] = [];
  readonly #start = Date.now();
  /** How far the engine's clock is ahead of ours. */
  #skew = 0;
  #drawn = 0;
  #timer: Timer | undefined;

  constructor(output: Output, color: boolean) {
    this.#output = output;
    this.#color = color;
    this.#timer = setInterval(() => this.#draw(), INTERVAL);
  }

  line(line: BuildLine): void {
    switch (line.type) {
      case "vertex": {
        const vertex = this.#vertices.update(line, reasonText(line.reasons));
        if (vertex?.state === "running" && line.startedAt !== undefined)
          this.#skew = Math.min(this.#skew, Date.now() - line.startedAt);
        return;
      }
      case "log":
        this.#log(line.vertex, Buffer.from(line.data, "base64").toString());
        return;
      case "status":
        this.#tail(line.vertex).status = line.completed
          ? ""
          : `${line.id} ${this.#pace(line.vertex, line.id).text(line.current, line.total)}`;
        return;
      case "warning":
        this.#warnings.push(line.message);
        return;
    }
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const vertex of this.#vertices.all()) {
      if (isOver(vertex)) continue;
      vertex.state = "cancelled";
    }
    this.#draw(true);
    for (const warning of this.#warnings) this.#output.write(`${this.#paint("33", "WARNING:")} ${warning}\n`);
    void this.#output.flush();
  }

  #pace(vertex: string, id: string): Pace {
    const key = `${vertex} ${id}`;
    const known = this.#paces.get(key) ?? new Pace();
    this.#paces.set(key, known);
    return known;
  }

  #tail(id: string): Tail {
    const known = this.#tails.get(id);
    if (known !== undefined) return known;
    const tail: Tail = { lines: [], partial: "", status: "" };
    this.#tails.set(id, tail);
    return tail;
  }

  #log(id: string, text: string): void {
    const tail = this.#tail(id);
    const lines = (tail.partial + text).split("\n");
    tail.partial = lines.pop() ?? "";
    tail.lines = [...tail.lines, ...lines].slice(-TAIL_LINES);
  }

  #draw(last = false): void {
    const { columns, rows } = this.#output.size();
    const finished = this.#vertices.all().filter((vertex) => isOver(vertex) && !this.#printed.has(vertex.id));
    const settled = finished.flatMap((vertex) => {
      this.#printed.add(vertex.id);
      this.#tails.delete(vertex.id);
      return this.#vertexLines(vertex);
    });
    const live = last ? [] : this.#liveLines(Math.max(rows - 2, 4));
    if (settled.length === 0 && live.length === 0 && this.#drawn === 0) return;
    const width = Math.max(columns - 1, 20);
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : "";
    const text = [...settled, ...live].map((line) => `${this.#fit(line, width)}\x1b[K\n`).join("");
    // Line wrapping off, so that a long line can never take two rows and spoil the count.
    this.#output.write(`\x1b[?25l\x1b[?7l${up}\r${text}\x1b[J\x1b[?7h\x1b[?25h`);
    void this.#output.flush();
    this.#drawn = live.length;
  }

  /** The time stands at the right edge; a name too long for what is left is cut. */
  #fit({ text, time }: Line, width: number): string {
    if (time === undefined) return cut(text, width);
    const room = width - time.length - 1;
    const left = cut(text, room);
    return `${left}${" ".repeat(Math.max(room - shownWidth(left), 0))} ${this.#paint("2", time)}`;
  }

  #liveLines(room: number): Line[] {
    const running = this.#vertices.all().filter((vertex) => vertex.state === "running");
    const head = { text: this.#paint("1", "[+] Building"), time: secondsText(Date.now() - this.#start) };
    const perStep = Math.max(0, Math.min(TAIL_LINES, Math.floor((room - 1) / Math.max(running.length, 1)) - 1));
    const lines = running.flatMap((vertex) => [...this.#vertexLines(vertex), ...this.#tailLines(vertex, perStep)]);
    return [head, ...lines].slice(0, room);
  }

  #vertexLines(vertex: Vertex): Line[] {
    const end = vertex.completedAt ?? Date.now() - this.#skew;
    const mark = MARKS[vertex.state];
    const shown = mark === undefined ? "" : `${this.#paint(mark.color, mark.word)} `;
    const step: Line = {
      text: ` => ${shown}${vertex.name}`,
      ...(vertex.state === "cached" ? {} : { time: secondsText(end - (vertex.startedAt ?? end)) }),
    };
    if (vertex.reason === "" || vertex.state === "cached") return [step];
    return [step, { text: this.#paint("33", `      because ${vertex.reason}`) }];
  }

  #tailLines(vertex: Vertex, room: number): Line[] {
    const tail = this.#tails.get(vertex.id);
    if (tail === undefined) return [];
    const lines = [
      ...tail.lines,
      ...(tail.partial === "" ? [] : [tail.partial]),
      ...(tail.status === "" ? [] : [tail.status]),
    ];
    return lines.slice(-room).map((line) => ({ text: this.#paint("2", ` => => # ${printable(line)}`) }));
  }

  #paint(code: string, text: string): string {
    return this.#color ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** A step's output must not move our cursor: after the last carriage return, without control sequences. */
function printable(line: string): string {
  const shown = line.replace(/\r+$/, "").split("\r").at(-1) ?? "";
  return shown
    .replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]/g, "")
    .replaceAll("\t", "    ");
}

/** Cuts to `width` columns; colours do not count. */
function cut(line: string, width: number): string {
  let shown = 0;
  let text = "";
  for (const piece of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (piece.startsWith("\x1b")) text += piece;
    else {
      const rest = [...piece].slice(0, Math.max(width - shown, 0));
      shown += rest.length;
      text += rest.join("");
    }
  }
  return text;
}

function shownWidth(text: string): number {
  return [...text.replace(/\x1b\[[0-9;]*m/g, "")].length;
}
