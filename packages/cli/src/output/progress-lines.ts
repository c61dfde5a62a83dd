import type { ProgressLine } from "../client/documents.ts";
import type { Io, Output } from "../io.ts";
import { redraws } from "./colour.ts";
import { Pace } from "./pace.ts";

/** Shows the classic progress stream: lines that change on a terminal, one line for each new state elsewhere. */
export class ProgressLines {
  readonly #output: Output;
  readonly #quiet: boolean;
  readonly #terminal: boolean;
  readonly #lines = new Map<string, number>();
  readonly #paces = new Map<string, Pace>();
  #height = 0;

  constructor(output: Output, { quiet, env }: { readonly quiet: boolean; readonly env: Io["env"] }) {
    this.#output = output;
    this.#quiet = quiet;
    this.#terminal = !quiet && redraws(output, env);
  }

  show(line: ProgressLine): void {
    if (line.stream !== undefined) {
      this.#output.write(line.stream);
      this.#forget();
      return;
    }
    if (this.#quiet || line.status === undefined) return;
    if (line.id === undefined) {
      this.#output.write(`${line.status}\n`);
      this.#forget();
      return;
    }
    const text = `${line.id}: ${line.status}${this.#progressText(line)}`;
    if (this.#terminal) this.#redraw(line.id, text);
    else if (line.progressDetail?.current === undefined) this.#output.write(`${text}\n`);
  }

  end(): void {
    this.#forget();
  }

  #redraw(id: string, text: string): void {
    const known = this.#lines.get(id);
    const cut = text.replace(/[\x00-\x1f\x7f]/g, "").slice(0, Math.max(this.#output.size().columns - 1, 20));
    if (known === undefined) {
      this.#lines.set(id, this.#height++);
      this.#output.write(`${cut}\n`);
      return;
    }
    const up = this.#height - known;
    // It has left the screen: its last state cannot be reached any more.
    if (up >= this.#output.size().rows) return;
    this.#output.write(`\x1b[${up}A\x1b[2K\r${cut}\x1b[${up}B\r`);
  }

  #progressText({ id = "", status, progressDetail }: ProgressLine): string {
    const { current, total } = progressDetail ?? {};
    if (current === undefined || !this.#terminal) return "";
    const key = `${id} ${status}`;
    const pace = this.#paces.get(key) ?? new Pace();
    this.#paces.set(key, pace);
    return ` ${pace.text(current, total)}`;
  }

  #forget(): void {
    this.#lines.clear();
    this.#paces.clear();
    this.#height = 0;
  }
}
