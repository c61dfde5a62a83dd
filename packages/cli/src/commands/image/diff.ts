import { humanSize } from "@slipway/base";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";

/** A difference, as `GET /slipway/images/diff` tells it. Sizes are bytes. */
interface Change {
  readonly path: string;
  readonly kind: "added" | "changed" | "removed";
  readonly entry: string;
  readonly what: readonly string[];
  readonly before: number;
  readonly after: number;
  readonly error?: { readonly message?: string; readonly hint?: string };
}

export const imageDiff = command({
  usage: "[OPTIONS] IMAGE IMAGE",
  args: exactly(2),
  flags: {
    json: flag.bool("Print each difference as a line of JSON"),
    quiet: flag.bool("Print paths only", { short: "q" }),
  },
  examples: [
    ["slipway image diff app:1.4 app:1.5", "Files added (A), changed (C) and removed (D), with their sizes"],
    ["slipway image diff app:1.4 app:1.5 | sort -k3 -h", "The biggest at the end"],
  ],
  async run({ flags, args: [from = "", to = ""], session }) {
    const { io } = session;
    const client = await session.client();
    const response = await client.request("GET", "/slipway/images/diff", { query: { from, to } });
    const total = { added: new Sum(), changed: new Sum(), removed: new Sum() };
    for await (const change of jsonLines<Change>(response.body)) {
      if (change.error !== undefined) throw new ApiError(500, change.error.message ?? "", change.error.hint);
      total[change.kind].add(change);
      await io.stdout.write(
        flags.json ? `${JSON.stringify(change)}\n` : flags.quiet ? `${change.path}\n` : line(change),
      );
    }
    if (!flags.json && !flags.quiet) io.stderr.write(summary(total));
    return 0;
  },
});

class Sum {
  count = 0;
  bytes = 0;

  add({ before, after }: Change): void {
    this.count++;
    this.bytes += after - before;
  }
}

const LETTERS: Readonly<Record<Change["kind"], string>> = { added: "A", changed: "C", removed: "D" };

function line(change: Change): string {
  const path = change.entry === "dir" ? `${change.path}/` : change.path;
  return `${LETTERS[change.kind]} ${path}${details(change)}\n`;
}

function details({ kind, entry, what, before, after }: Change): string {
  const sides = what.filter((side) => side !== "content" || entry !== "file" || before === after);
  const size = entry !== "file" && before === 0 ? "" : sizes(kind, before, after);
  const words = [size, sides.length === 0 ? "" : `(${sides.join(", ")})`].filter((word) => word !== "");
  return words.length === 0 ? "" : `\t${words.join(" ")}`;
}

function sizes(kind: Change["kind"], before: number, after: number): string {
  if (kind === "added") return humanSize(after);
  if (kind === "removed") return humanSize(before);
  return before === after ? humanSize(after) : `${humanSize(before)} -> ${humanSize(after)}`;
}

function summary({ added, changed, removed }: Readonly<Record<Change["kind"], Sum>>): string {
  const signed = (bytes: number) => `${bytes < 0 ? "-" : "+"}${humanSize(Math.abs(bytes))}`;
  const part = (word: string, { count, bytes }: Sum) => `${count} ${word} (${signed(bytes)})`;
  const whole = signed(added.bytes + changed.bytes + removed.bytes);
  return `${part("added", added)}, ${part("changed", changed)}, ${part("removed", removed)}: ${whole} in all\n`;
}
