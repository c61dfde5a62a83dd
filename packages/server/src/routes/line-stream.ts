import { type BodyWriter, type Reply, stream } from "../http/reply.ts";

/** Characters of unread lines above which those that may be lost are. */
const BACKLOG = 4 * 1024 * 1024;

/**
 * An answer of JSON lines from work that runs while the request's body may still be arriving.
 *
 * Nothing is sent before the first line: work that fails before it said anything is an ordinary HTTP error, after that a
 * last line tells of the failure.
 */
export class LineStream {
  #lines: string[] = [];
  #characters = 0;
  #clipping = false;
  #wake: (() => void) | undefined;

  /** Never blocks: producers are not slowed by a slow reader, so lines are for words, not for data. */
  send(line: Record<string, unknown>): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#lines.push(text);
    this.#characters += text.length;
    this.#wake?.();
  }

  /** Sends a line that may be lost: a client that does not read what a step prints must not fill the daemon's memory. */
  offer(line: Record<string, unknown>, notice: () => Record<string, unknown>): void {
    const full = this.#characters > BACKLOG;
    if (!full) this.send(line);
    else if (!this.#clipping) this.send(notice());
    this.#clipping = full;
  }

  async reply(work: () => Promise<void>, failureLine: (error: unknown) => Record<string, unknown>): Promise<Reply> {
    let state: "running" | "done" | "failed" = "running";
    let failure: unknown;
    const finished = work().then(
      () => {
        state = "done";
        this.#wake?.();
      },
      (error: unknown) => {
        state = "failed";
        failure = error;
        this.#wake?.();
      },
    );
    await this.#changed(() => state !== "running");
    if (state !== "running") await finished;
    if (hasFailed(state) && this.#lines.length === 0) throw failure;
    return stream("application/json", async (body) => {
      while (state === "running" || this.#lines.length > 0) {
        await this.#flush(body);
        await this.#changed(() => state !== "running");
      }
      if (hasFailed(state)) await body.write(`${JSON.stringify(failureLine(failure))}\n`);
    });
  }

  /** Resolves once there are lines or `over` holds. */
  async #changed(over: () => boolean): Promise<void> {
    while (this.#lines.length === 0 && !over()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async #flush(body: BodyWriter): Promise<void> {
    if (this.#lines.length === 0) return;
    const text = this.#lines.join("");
    this.#lines = [];
    this.#characters = 0;
    await body.write(text);
  }
}

/** The state changes behind the compiler's back, in callbacks. */
function hasFailed(state: string): boolean {
  return state === "failed";
}
