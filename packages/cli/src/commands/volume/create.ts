import { ExitError } from "../../errors.ts";
import { atMost, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { pairs } from "../../notation/environment.ts";

const CLUSTER = "Of cluster volumes: part of Docker Swarm";

/** Flags that Docker has for cluster volumes only. */
const CLUSTER_FLAGS = {
  availability: flag.string(CLUSTER, { hidden: true }),
  group: flag.string(CLUSTER, { hidden: true }),
  "limit-bytes": flag.string(CLUSTER, { hidden: true }),
  "required-bytes": flag.string(CLUSTER, { hidden: true }),
  scope: flag.string(CLUSTER, { hidden: true }),
  secret: flag.list(CLUSTER, { hidden: true }),
  sharing: flag.string(CLUSTER, { hidden: true }),
  "topology-preferred": flag.list(CLUSTER, { hidden: true }),
  "topology-required": flag.list(CLUSTER, { hidden: true }),
  type: flag.string(CLUSTER, { hidden: true }),
} as const;

export const create = command({
  usage: "[OPTIONS] [VOLUME]",
  args: atMost(1),
  flags: {
    driver: flag.string("Driver of the volume", { short: "d", default: "local" }),
    label: flag.list("Set a label"),
    name: flag.string("Name of the volume", { hidden: true }),
    opt: flag.list("Option of the driver", { short: "o", type: "map" }),
    ...CLUSTER_FLAGS,
  },
  examples: [
    ["slipway volume create data", "A volume with a name"],
    ["slipway volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch", "One in memory"],
  ],
  async run({ flags, given, args: [name], session }) {
    const cluster = Object.keys(CLUSTER_FLAGS).find((flagName) => given(flagName as keyof typeof CLUSTER_FLAGS));
    if (cluster !== undefined) {
      throw new ExitError(
        1,
        `--${cluster} is for cluster volumes, which are part of Docker Swarm: this engine has none`,
      );
    }
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
