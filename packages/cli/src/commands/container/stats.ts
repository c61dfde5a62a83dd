import type { ContainerSummary, EventDocument } from "../../client/documents.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { ANY, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { TerminalSize } from "../../io.ts";
import { redraws } from "../../output/colour.ts";
import { renderListing } from "../../output/listing.ts";
import { STATS_LISTING, type StatsDocument, type StatsRow } from "../../output/stats-listing.ts";
import { truncateId } from "../../output/text.ts";
import type { Session } from "../../session.ts";
import { segment } from "../each.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";

/** Milliseconds between two pictures. */
const REDRAW = 500;

/** Milliseconds that the first picture waits for everybody's figures: two measurements, a second apart. */
const FIRST = 1500;

export const stats = command({
  usage: "[OPTIONS] [CONTAINER...]",
  args: { min: 0, max: ANY },
  flags: {
    all: flag.bool("Show all containers, not only running ones", { short: "a" }),
    format: flag.string(FORMAT_HELP),
    "no-stream": flag.bool("Measure once, print and leave"),
    "no-trunc": flag.bool("Do not shorten what is long"),
  },
  examples: [
    ["slipway stats --no-stream", "What running containers use now"],
    ["slipway stats --format '{{.Name}}: {{.CPUPerc}}' web", "A line of your own"],
  ],
  async run({ flags, args, session }) {
    const options: Options = {
      all: flags.all,
      format: flags.format || ((await session.config()).statsFormat ?? ""),
      truncate: !flags["no-trunc"],
    };
    const board = new Board(session, options);
    return flags["no-stream"] ? await once(board, args) : await live(board, args);
  },
});

interface Options {
  readonly all: boolean;
  readonly format: string;
  readonly truncate: boolean;
}

interface Line {
  readonly container: string;
  readonly stop: AbortController;
  stats: StatsDocument | undefined;
}

async function once(board: Board, names: readonly string[]): Promise<number> {
  const lines = (names.length > 0 ? names : await board.containers()).map(newLine);
  const results = await Promise.allSettled(lines.map((line) => board.measure(line)));
  throwFailures(results, names.length > 0);
  // Those that went while they were measured are left out.
  const shown = lines.filter((line) => line.stats !== undefined);
  board.session.io.stdout.write(await board.render(shown));
  return 0;
}

async function live(board: Board, names: readonly string[]): Promise<number> {
  const watched = new Watched(board);
  const everything = names.length === 0;
  const events = everything ? watched.followEvents() : undefined;
  // Its failure is told where it is waited for.
  events?.catch(() => {});
  for (const name of everything ? await board.containers() : names) watched.add(name);
  // One that is slow must not keep the others from the screen: it shows dashes meanwhile.
  throwFailures((await Promise.race([watched.first(), Bun.sleep(FIRST)])) ?? [], !everything);
  const { stdout, env } = board.session.io;
  const terminal = redraws(stdout, env);
  if (terminal) stdout.write("\x1b[2J");
  for (;;) {
    const text = await board.render(watched.lines());
    stdout.write(terminal ? picture(text, stdout.size()) : text);
    await stdout.flush();
    if (!everything && watched.isEmpty) return 0;
    const ended = await Promise.race([Bun.sleep(REDRAW), ...(events === undefined ? [] : [events])]);
    // The engine has gone: there is nothing to follow any more.
    if (ended === "ended") throw new ExitError(1, "the engine ended the stream of events");
  }
}

/** From the upper left corner, without what was there before; what the screen has no room for is counted. */
function picture(text: string, { rows, columns }: TerminalSize): string {
  const lines = text.trimEnd().split("\n");
  const fitting: string[] = [];
  let room = rows - 2;
  for (const line of lines) {
    room -= Math.max(Math.ceil(line.length / columns), 1);
    if (room < 0) break;
    fitting.push(line);
  }
  const hidden = lines.length - fitting.length;
  const shown = hidden === 0 ? fitting : [...fitting, `${hidden} more have no room here`];
  return `\x1b[H${shown.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`;
}

/** What goes wrong with a name that was typed is told; a container of the list may just have gone. */
function throwFailures(results: readonly PromiseSettledResult<unknown>[], typed: boolean): void {
  const failures: string[] = [];
  for (const result of results) {
    if (result.status === "fulfilled") continue;
    const reason: unknown = result.reason;
    if (!(reason instanceof ApiError)) throw reason;
    if (typed || reason.status !== 404) failures.push(reason.message);
  }
  if (failures.length > 0) throw new ExitError(1, failures.join("\n"));
}

function newLine(container: string): Line {
  return { container, stats: undefined, stop: new AbortController() };
}

/** Asks the engine and prints. */
class Board {
  readonly session: Session;
  readonly #options: Options;

  constructor(session: Session, options: Options) {
    this.session = session;
    this.#options = options;
  }

  get all(): boolean {
    return this.#options.all;
  }

  async containers(): Promise<string[]> {
    const client = await this.session.client();
    const query = { all: this.#options.all };
    const found = await client.json<ContainerSummary[]>("GET", "/containers/json", { query });
    return found.map(({ Id }) => truncateId(Id));
  }

  async measure(line: Line): Promise<void> {
    const client = await this.session.client();
    const path = `/containers/${segment(line.container)}/stats`;
    line.stats = await client.json<StatsDocument>("GET", path, { query: { stream: "0" } });
  }

  /** Calls `onFirst` when the line can be shown; resolves when the container is gone or the line is stopped. */
  async follow(line: Line, onFirst: () => void): Promise<void> {
    const client = await this.session.client();
    const path = `/containers/${segment(line.container)}/stats`;
    const { signal } = line.stop;
    const response = await client.request("GET", path, { query: { stream: "1" }, signal });
    let seen = 0;
    for await (const document of jsonLines<StatsDocument>(response.body)) {
      line.stats = document;
      // The first has nothing before it to tell the use of the CPU from.
      if (++seen === 2 || document.cpu_stats?.system_cpu_usage === undefined) onFirst();
    }
  }

  async render(lines: readonly Line[]): Promise<string> {
    const { format, truncate } = this.#options;
    const rows: StatsRow[] = lines.map(({ container, stats }) => ({ container, stats, truncate }));
    return await renderListing(STATS_LISTING, rows, { format, quiet: false });
  }
}

/** The containers on the screen, in the order in which they came. */
class Watched {
  readonly #board: Board;
  readonly #lines = new Map<string, Line>();
  readonly #first: Promise<void>[] = [];

  constructor(board: Board) {
    this.#board = board;
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  lines(): Line[] {
    return [...this.#lines.values()];
  }

  add(container: string): void {
    if (this.#lines.has(container)) return;
    const line = newLine(container);
    this.#lines.set(container, line);
    const first = Promise.withResolvers<void>();
    this.#first.push(first.promise);
    // Failures after the first measurement only take the line away.
    this.#board
      .follow(line, first.resolve)
      .catch((error: unknown) => {
        // It went before it was measured.
        if (!line.stop.signal.aborted) throw error;
      })
      .then(first.resolve, first.reject)
      .finally(() => {
        if (this.#lines.get(container) === line) this.#lines.delete(container);
      });
    first.promise.catch(() => {});
  }

  remove(container: string): void {
    this.#lines.get(container)?.stop.abort();
    this.#lines.delete(container);
  }

  /** Resolves when each of those added so far has been measured. */
  first(): Promise<PromiseSettledResult<void>[]> {
    return Promise.allSettled(this.#first);
  }

  /** Containers come and go. Resolves when the engine ends the stream. */
  async followEvents(): Promise<"ended"> {
    const client = await this.#board.session.client();
    const [coming, going] = this.#board.all ? ["create", "destroy"] : ["start", "die"];
    const filters = filterQuery({ type: ["container"], event: [coming, going] as string[] });
    const response = await client.request("GET", "/events", { query: { filters } });
    for await (const event of jsonLines<EventDocument>(response.body)) {
      const id = truncateId(event.Actor.ID);
      if (event.Action === coming) this.add(id);
      else this.remove(id);
    }
    return "ended";
  }
}
