import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { checkedReference, imageLogin } from "../registry/registry-access.ts";
import { pullImage } from "./pull-image.ts";

export const pull = command({
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  args: exactly(1),
  flags: {
    "all-tags": flag.bool("Fetch all tags of the repository", { short: "a" }),
    "disable-content-trust": flag.bool("Not used any more", { default: true, hidden: true }),
    platform: flag.string("Platform of the image"),
    quiet: flag.bool("Say less", { short: "q" }),
  },
  examples: [
    ["slipway pull debian:12", "An image from Docker Hub"],
    ["slipway pull example.com/team/web@sha256:...", "One that can never change"],
  ],
  async run({ flags, args: [given = ""], session }) {
    const { io } = session;
    const { familiarReference, formatReference, withDefaultTag } = await import("@slipway/oci");
    const named = await checkedReference(given);
    const all = flags["all-tags"];
    const isWhole = named.tag === undefined && named.digest === undefined;
    if (all && !isWhole) throw new ExitError(1, "tag can't be used with --all-tags/-a");
    if (!all && isWhole && !flags.quiet) io.stdout.write("Using default tag: latest\n");
    const reference = all ? named : withDefaultTag(named);
    const client = await session.client();
    const platform = flags.platform || io.env.DOCKER_DEFAULT_PLATFORM;
    const headers = await imageLogin(session, given);
    const options = { client, platform, quiet: flags.quiet, output: io.stdout, env: io.env, all, headers };
    await pullImage({ ...options, reference: familiarReference(reference) });
    io.stdout.write(`${formatReference(reference)}\n`);
    return 0;
  },
});
