import { command, exactly } from "../../grammar/command.ts";

export const build = command({
  usage: "[OPTIONS] PATH | URL | -",
  args: exactly(1),
  flags: {},
  async run() {
    return 0;
  },
});
