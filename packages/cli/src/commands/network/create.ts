import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { pairs } from "../../notation/environment.ts";
import { ipamConfig } from "../../notation/ipam.ts";

export const create = command({
  usage: "[OPTIONS] NETWORK",
  args: exactly(1),
  flags: {
    attachable: flag.bool("Let containers be attached by hand"),
    "aux-address": flag.list("Address that something else has (name=address)", { type: "map" }),
    "config-from": flag.string("Network to copy the configuration from", { type: "network" }),
    "config-only": flag.bool("Keep a configuration only"),
    driver: flag.string("Driver of the network", { short: "d", default: "bridge" }),
    gateway: flag.strings("Address of the bridge in its subnet"),
    ingress: flag.bool("Make the routing mesh of a swarm"),
    internal: flag.bool("Keep the network from the outside"),
    "ip-range": flag.strings("Part of a subnet that addresses are chosen from"),
    "ipam-driver": flag.string("Driver that gives out addresses", { default: "default" }),
    "ipam-opt": flag.list("Option of that driver", { type: "map" }),
    ipv4: flag.bool("With IPv4", { default: true }),
    ipv6: flag.bool("With IPv6"),
    label: flag.list("Set a label"),
    opt: flag.list("Option of the network's driver", { short: "o", type: "map" }),
    scope: flag.string("Scope of the network"),
    subnet: flag.strings("Addresses of the network (172.28.0.0/16)"),
  },
  examples: [
    ["slipway network create backend", "A network whose containers find each other by name"],
    ["slipway network create --subnet 10.9.0.0/24 --internal vault", "Fixed addresses, and no way out"],
  ],
  async run({ flags, given, args: [name], session }) {
    const client = await session.client();
    const { Id, Warning } = await client.json<{ Id: string; Warning?: string }>("POST", "/networks/create", {
      json: {
        Name: name,
        Driver: flags.driver,
        Scope: flags.scope,
        ...(given("ipv4") ? { EnableIPv4: flags.ipv4 } : {}),
        ...(given("ipv6") ? { EnableIPv6: flags.ipv6 } : {}),
        IPAM: { Driver: flags["ipam-driver"], Options: pairs(flags["ipam-opt"]), Config: ipamConfig(flags) },
        Internal: flags.internal,
        Attachable: flags.attachable,
        Ingress: flags.ingress,
        ConfigOnly: flags["config-only"],
        ...(flags["config-from"] === "" ? {} : { ConfigFrom: { Network: flags["config-from"] } }),
        Options: pairs(flags.opt),
        Labels: pairs(flags.label),
      },
    });
    if (Warning) session.io.stderr.write(`WARNING: ${Warning}\n`);
    session.io.stdout.write(`${Id}\n`);
    return 0;
  },
});
