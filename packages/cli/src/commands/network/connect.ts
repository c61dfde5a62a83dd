import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { driverOptions, linkText } from "../../notation/network.ts";
import { segment } from "../each.ts";

export const connect = command({
  usage: "[OPTIONS] NETWORK CONTAINER",
  args: exactly(2),
  flags: {
    alias: flag.strings("Name of the container in the network"),
    "driver-opt": flag.strings("Option of the network's driver"),
    "gw-priority": flag.int("The network with the highest one has the default route"),
    ip: flag.string("IPv4 address (172.30.100.104)"),
    ip6: flag.string("IPv6 address (2001:db8::33)"),
    link: flag.list("Add a link to another container", { check: linkText }),
    "link-local-ip": flag.strings("Add a link-local address"),
  },
  examples: [["slipway network connect --alias db backend pg", "The container pg is found as db on backend, at once"]],
  async run({ flags, args: [network = "", container = ""], session }) {
    const client = await session.client();
    await client.send("POST", `/networks/${segment(network)}/connect`, {
      json: {
        Container: container,
        EndpointConfig: {
          IPAMConfig: {
            ...(flags.ip === "" ? {} : { IPv4Address: flags.ip }),
            ...(flags.ip6 === "" ? {} : { IPv6Address: flags.ip6 }),
            ...(flags["link-local-ip"].length === 0 ? {} : { LinkLocalIPs: flags["link-local-ip"] }),
          },
          Links: flags.link.map(linkText),
          Aliases: flags.alias,
          DriverOpts: driverOptions(flags["driver-opt"]),
          ...(flags["gw-priority"] === 0 ? {} : { GwPriority: flags["gw-priority"] }),
        },
      },
    });
    return 0;
  },
});
