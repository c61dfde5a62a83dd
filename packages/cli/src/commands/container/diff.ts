import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { segment } from "../each.ts";

const LETTERS = ["C", "A", "D"];

export const diff = command({
  usage: "CONTAINER",
  args: exactly(1),
  flags: {},
  examples: [["slipway diff web", "What the container has added (A), changed (C) and deleted (D)"]],
  async run({ args: [container = ""], session }) {
    if (container === "") throw new ExitError(1, "Container name cannot be empty");
    const client = await session.client();
    const path = `/containers/${segment(container)}/changes`;
    const changes = await client.json<{ Path: string; Kind: number }[] | null>("GET", path);
    for (const { Path, Kind } of changes ?? []) session.io.stdout.write(`${LETTERS[Kind] ?? "?"} ${Path}\n`);
    return 0;
  },
});
