import { ExitError } from "../../errors.ts";
import { ANY, command } from "../../grammar/command.ts";

export const supervisor = command({
  usage: "[ARG...]",
  args: { min: 0, max: ANY },
  raw: true,
  flags: {},
  async run({ args }) {
    const runtime = (await import("@slipway/runtime")) as {
      runSupervisor?: (argv: readonly string[]) => Promise<number>;
    };
    if (runtime.runSupervisor === undefined) throw new ExitError(1, "this executable has no supervisor");
    return await runtime.runSupervisor(args);
  },
});
