import { humanSize } from "@slipway/base";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { STORAGE } from "./storage-flag.ts";

const LOWEST_PRIORITY = 19;

export const gc = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    config: flag.string("File with retention rules", { default: "" }),
    grace: flag.duration("How long what nothing refers to is kept", { default: 24 * 3600e9 }),
    plan: flag.bool("Show what would be removed, and remove nothing"),
    storage: STORAGE,
  },
  examples: [["slipway registry gc --plan", "What the next collection removes; the registry may be running"]],
  async run({ flags, session }) {
    const { collectRegistry, openRegistryStorage, readRegistryRules } = await import("@slipway/registry");
    const { setPriority } = await import("node:os");
    // A registry that serves beside it comes first.
    setPriority(0, LOWEST_PRIORITY);
    const { stdout } = session.io;
    const rules = flags.config === "" ? [] : readRegistryRules(flags.config).retention;
    const storage = await openRegistryStorage(flags.storage);
    try {
      const done = await collectRegistry(storage, {
        rules,
        grace: flags.grace / 1e6,
        plan: flags.plan,
        onRepository({ name, tags, manifests, blobs }) {
          for (const { tag, digest } of tags) stdout.write(`tag       ${name}:${tag} (${digest})\n`);
          for (const { digest, reason } of manifests) stdout.write(`manifest  ${name}@${digest} (${reason})\n`);
          for (const { digest, size } of blobs) stdout.write(`blob      ${name}@${digest} (${humanSize(size)})\n`);
        },
      });
      const verb = flags.plan ? "would remove" : "removed";
      stdout.write(
        `${verb}: ${done.tags} tags, ${done.manifests} manifests, ${done.blobs} blobs with ${humanSize(done.bytes)}, ` +
          `${done.strays} strays of crashes, ${done.uploads} abandoned uploads\n`,
      );
    } finally {
      await storage.close();
    }
    return 0;
  },
});
