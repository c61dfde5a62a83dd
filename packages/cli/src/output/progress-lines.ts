import { humanSize } from "@slipway/base";
import type { ProgressLine } from "../client/documents.ts";
import type { Output } from "../io.ts";

/** Shows the classic progress stream: lines that change on a terminal, one line for each new state elsewhere. */
export class ProgressLines {
  readonly #output: Output;
  readonly #quiet: boolean;
  readonly #terminal: boolean;
  readonly #lines = new Map<string, number>();
  #height = 0;

  constructor(output: Output, quiet: boolean) {
    this.#output = output;
    this.#quiet = quiet;
    this.#terminal = !quiet && output.isTerminal();
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
    const text = `${line.id}: ${line.status}${progressText(line)}`;
    if (this.#terminal) this.#redraw(line.id, text);
    else if (line.progressDetail?.current === undefined) this.#output.write(`${text}\n`);
  }

  end(): void {
    this.#forget();
  }

  #redraw(id: string, text: string): void {
    const known = this.#lines.get(id);
    const cut = text.slice(0, Math.max(this.#output.size().columns - 1, 20));
    if (known === undefined) {
      this.#lines.set(id, this.#height++);
      this.#output.write(`${cut}\n`);
      return;
    }
    const up = this.#height - known;
    this.#output.write(`\x1b[${up}A\x1b[2K\r${cut}\x1b[${up}B\r`);
  }

  #forget(): void {
    this.#lines.clear();
    this.#height = 0;
  }
}

function progressText({ progressDetail }: ProgressLine): string {
  const { current, total } = progressDetail ?? {};
  if (current === undefined) return "";
  if (total === undefined || total <= 0) return ` ${humanSize(current)}`;
  return ` ${Math.floor((current / total) * 100)}% ${humanSize(current)}/${humanSize(total)}`;
}
