import { humanDuration, humanSize, shortId } from "@slipway/base";
import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { atMost, command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Io } from "../../io.ts";
import { confirm } from "../../output/confirm.ts";
import { alignColumns } from "../../output/tab-writer.ts";
import { ago } from "../../output/text.ts";
import type { Session } from "../../session.ts";
import { segment } from "../each.ts";

interface TrashItem {
  readonly Id: string;
  readonly Prune: string;
  readonly Kind: "image" | "volume";
  readonly Target: string;
  readonly Names: readonly string[];
  readonly Size: number;
  readonly PrunedAt: string;
  readonly Until: string;
}

interface TrashDocument {
  /** Newest first. */
  readonly Items: readonly TrashItem[];
  readonly Size: number;
  readonly MaxSize: number;
}

interface UndoDocument {
  readonly Restored: readonly {
    readonly Kind: "image" | "volume";
    readonly Id: string;
    readonly Names: readonly string[];
    readonly NamesTaken: readonly string[];
  }[];
  readonly Failed: readonly (TrashItem & { readonly Error: { readonly message: string; readonly hint?: string } })[];
}

const JSON_HELP = "Print the answer as JSON";

export const trashLs = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: { json: flag.bool(JSON_HELP), quiet: flag.bool("Show IDs only", { short: "q" }) },
  examples: [["slipway system trash ls", "What prunes took and 'system undo' brings back, and until when"]],
  run: ({ flags, session }) => list(session, flags),
});

export const trashEmpty = command({
  usage: "[OPTIONS] [PRUNE|ITEM]",
  args: atMost(1),
  flags: { force: flag.bool("Do not ask", { short: "f" }), json: flag.bool(JSON_HELP) },
  examples: [
    ["slipway system trash empty", "Free all that the trash holds"],
    ["slipway system trash empty 4f1c09", "Only what one prune took"],
  ],
  async run({ flags, args: [id], session }) {
    const { io } = session;
    const what = id === undefined ? "everything in the trash" : `what '${id}' stands for in the trash`;
    const talk = flags.json ? { stdin: io.stdin, stdout: io.stderr } : io;
    const question = `WARNING! This will remove ${what} for good.\nAre you sure you want to continue?`;
    if (!flags.force && !(await confirm(question, talk))) return 0;
    const path = id === undefined ? "/slipway/trash" : `/slipway/trash/${segment(id)}`;
    const answer = await ask<TrashDocument & { SpaceReclaimed: number }>(await session.client(), "DELETE", path);
    if (flags.json) {
      writeJson(io, answer);
      return 0;
    }
    for (const item of answer.Items) io.stdout.write(`${nameOf(item)}\n`);
    io.stdout.write(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed, 4)}\n`);
    return 0;
  },
});

export const undo = command({
  usage: "[OPTIONS] [PRUNE|ITEM]",
  args: atMost(1),
  flags: {
    as: flag.string("Bring one volume back under another name", { type: "NAME" }),
    json: flag.bool(JSON_HELP),
    list: flag.bool("Show what can be brought back", { short: "l" }),
  },
  examples: [
    ["slipway system undo", "Bring back the images and volumes that the last prune took"],
    ["slipway system undo --list", "What can be brought back, and until when"],
    ["slipway system undo 4f1c09", "Bring back one prune, or one thing of it"],
    ["slipway system undo data --as data-old", "Bring a volume back whose name something else has by now"],
  ],
  async run({ flags, given, args: [id], session }) {
    if (flags.list) return await list(session, { json: flags.json, quiet: false });
    const path = id === undefined ? "/slipway/trash/restore" : `/slipway/trash/${segment(id)}/restore`;
    const query = given("as") ? { as: flags.as } : {};
    const answer = await ask<UndoDocument>(await session.client(), "POST", path, query);
    if (flags.json) writeJson(session.io, answer);
    else tell(answer, session.io);
    return answer.Failed.length === 0 ? 0 : 1;
  },
});

async function list(session: Session, flags: { readonly json: boolean; readonly quiet: boolean }): Promise<number> {
  const { io } = session;
  const trash = await ask<TrashDocument>(await session.client(), "GET", "/slipway/trash");
  if (flags.json) writeJson(io, trash);
  else if (flags.quiet) io.stdout.write(trash.Items.map(({ Id }) => `${Id}\n`).join(""));
  else io.stdout.write(table(trash));
  return 0;
}

function table({ Items, Size, MaxSize }: TrashDocument): string {
  const room = MaxSize === 0 ? "it keeps nothing now" : `of ${humanSize(MaxSize, 3)} at most`;
  const space = `In the trash: ${humanSize(Size, 4)}, ${room}\n`;
  if (Items.length === 0) return space;
  const now = Date.now();
  const rows = Items.map((item) =>
    [
      ...[item.Prune, item.Id, item.Kind, nameOf(item), ago(Date.parse(item.PrunedAt) / 1000, now)],
      ...[humanDuration(Math.max(Date.parse(item.Until) - now, 0)), humanSize(item.Size, 3)],
    ].join("\t"),
  );
  return `${alignColumns(`PRUNE\tITEM\tKIND\tNAME\tPRUNED\tSTAYS FOR\tSIZE\n${rows.join("\n")}`)}\n\n${space}`;
}

function nameOf({ Kind, Names, Target }: TrashItem): string {
  return Names.join(", ") || (Kind === "image" ? shortId(Target) : Target);
}

function tell({ Restored, Failed }: UndoDocument, io: Io): void {
  for (const { Kind, Id, Names, NamesTaken } of Restored) {
    const shown = Kind === "image" ? `${shortId(Id)}${Names.length > 0 ? ` ${Names.join(", ")}` : ""}` : Id;
    io.stdout.write(`Restored ${Kind}: ${shown}\n`);
    for (const name of NamesTaken) io.stderr.write(`${name} is another image's name by now; it was not taken back\n`);
  }
  for (const item of Failed) {
    io.stderr.write(`Error: ${item.Kind} ${nameOf(item)} stays in the trash: ${item.Error.message}\n`);
    if (item.Error.hint !== undefined) io.stderr.write(`${item.Error.hint}\n`);
  }
}

function writeJson(io: Io, document: unknown): void {
  io.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
}

/** Another engine has no trash, and no such path; ours says 404 with a code. */
async function ask<T>(
  client: EngineClient,
  method: "GET" | "POST" | "DELETE",
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<T> {
  try {
    return await client.json<T>(method, path, { query });
  } catch (error) {
    if (error instanceof ApiError && /page not found|^not found$/i.test(error.message)) {
      throw new ExitError(1, "this engine has no trash: what it pruned is gone", "Slipway's own engine has one.");
    }
    throw error;
  }
}
