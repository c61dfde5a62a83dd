import type { ImageDeletion } from "../../client/documents.ts";
import { ApiError, failureLines } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { imagePath } from "./image-path.ts";

export const rmi = command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: atLeast(1),
  flags: {
    force: flag.bool("Remove it also when a container needs it", { short: "f" }),
    "no-prune": flag.bool("Keep parents that have no name"),
    platform: flag.list("Remove only this platform's image"),
  },
  examples: [["slipway rmi web:1 web:2", "Remove names, and images that have none left"]],
  async run({ flags, args, session }) {
    const { stdout, stderr } = session.io;
    const client = await session.client();
    const failures: string[] = [];
    let fatal = false;
    for (const name of args) {
      try {
        const items = await client.json<ImageDeletion[]>("DELETE", `/images/${imagePath(name)}`, {
          query: { force: flags.force, noprune: flags["no-prune"] },
        });
        for (const item of items) stdout.write(deletionLine(item));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        // With --force a missing image is worth a word, not a failure.
        if (!(flags.force && error.status === 404)) fatal = true;
        failures.push(...failureLines(error));
      }
    }
    if (failures.length === 0) return 0;
    await stdout.flush();
    stderr.write(`${failures.join("\n")}\n`);
    return fatal ? 1 : 0;
  },
});

export function deletionLine({ Untagged, Deleted }: ImageDeletion): string {
  return Deleted === undefined ? `Untagged: ${Untagged}\n` : `Deleted: ${Deleted}\n`;
}
