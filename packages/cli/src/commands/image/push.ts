import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { splitReference } from "../../output/text.ts";
import { imageLogin } from "../registry/registry-access.ts";
import { pushImage } from "./push-image.ts";

export const push = command({
  usage: "[OPTIONS] NAME[:TAG]",
  args: exactly(1),
  flags: {
    "all-tags": flag.bool("Send all tags of the repository", { short: "a" }),
    compression: flag.string("Compress layers with gzip or zstd, or leave them uncompressed"),
    "compression-level": flag.string("Level of the compression: 1 to 9 for gzip, 1 to 19 for zstd"),
    "disable-content-trust": flag.bool("Not used any more", { default: true, hidden: true }),
    platform: flag.string("Platform of the image"),
    quiet: flag.bool("Say less", { short: "q" }),
  },
  examples: [
    ["slipway push localhost:5000/web:1", "One tag"],
    [
      "slipway push --compression zstd localhost:5000/web",
      "Smaller and faster, for registries and engines that know zstd",
    ],
  ],
  async run({ flags, args: [reference = ""], session }) {
    const { stdout } = session.io;
    const { repository, tag, digest } = splitReference(reference);
    if (digest !== undefined) throw new ExitError(1, "cannot push a digest reference");
    const all = flags["all-tags"];
    if (all && tag !== undefined) throw new ExitError(1, "tag can't be used with --all-tags/-a");
    if (!all && tag === undefined && !flags.quiet) stdout.write("Using default tag: latest\n");
    const client = await session.client();
    await pushImage({
      ...{ client, repository, quiet: flags.quiet, output: stdout, env: session.io.env },
      tag: all ? undefined : (tag ?? "latest"),
      platform: flags.platform || undefined,
      compression: flags.compression || undefined,
      level: flags["compression-level"] || undefined,
      headers: await imageLogin(session, reference),
    });
    if (flags.quiet) stdout.write(`${all ? repository : `${repository}:${tag ?? "latest"}`}\n`);
    return 0;
  },
});
