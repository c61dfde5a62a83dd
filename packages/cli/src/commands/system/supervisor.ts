import { ANY, command } from "../../grammar/command.ts";

export const supervisor = command({
  usage: "[ARG...]",
  args: { min: 0, max: ANY },
  raw: true,
  flags: {},
  async run({ args }) {
    const { runSupervisor } = await import("@slipway/runtime");
    return runSupervisor(args);
  },
});
