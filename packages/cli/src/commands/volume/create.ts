import { ExitError } from "../../errors.ts";
import { atMost, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { pairs } from "../../notation/environment.ts";

export const create = command({
  usage: "[OPTIONS] [VOLUME]",
  args: atMost(1),
  flags: {
    driver: flag.string("Driver of the volume", { short: "d", default: "local" }),
    label: flag.list("Set a label"),
    name: flag.string("Name of the volume", { hidden: true }),
    opt: flag.list("Option of the driver", { short: "o", type: "map" }),
  },
  async run({ flags, args: [name], session }) {
    if (name !== undefined && flags.name !== "") {
      throw new ExitError(
        1,
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    }
    const client = await session.client();
    const { Name } = await client.json<{ Name: string }>("POST", "/volumes/create", {
      json: {
        Name: name ?? flags.name,
        Driver: flags.driver,
        DriverOpts: pairs(flags.opt),
        Labels: pairs(flags.label),
      },
    });
    session.io.stdout.write(`${Name}\n`);
    return 0;
  },
});
