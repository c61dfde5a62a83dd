import type { ContainerDocument } from "../../client/documents.ts";
import { ExitError } from "../../errors.ts";
import { command } from "../../grammar/command.ts";
import { joinHostPort } from "../../output/ports.ts";
import { segment } from "../each.ts";

export const port = command({
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  args: { min: 1, max: 2 },
  flags: {},
  examples: [["slipway port web 80", "Where port 80 of the container is published"]],
  async run({ args: [name = "", wanted], session }) {
    const client = await session.client();
    const container = await client.json<ContainerDocument>("GET", `/containers/${segment(name)}/json`);
    const published = container.NetworkSettings?.Ports ?? {};
    const asked = wanted === undefined ? undefined : readPort(wanted);
    if (asked !== undefined && !published[asked]) {
      throw new ExitError(1, `Error: No public port '${wanted}' published for ${name}`);
    }
    const lines = Object.entries(published)
      .filter(([key]) => asked === undefined || key === asked)
      .toSorted(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1))
      .flatMap(([key, bindings]) =>
        (bindings ?? []).map(({ HostIp, HostPort }) => {
          const address = joinHostPort(HostIp, HostPort);
          return asked === undefined ? `${key} -> ${address}` : address;
        }),
      );
    session.io.stdout.write(lines.map((line) => `${line}\n`).join(""));
    return 0;
  },
});

function readPort(text: string): string {
  const [number = "", protocol = "tcp"] = text.split("/");
  if (!/^\d{1,5}$/.test(number)) throw new ExitError(1, `invalid port (${number}): value must be numeric`);
  return `${number}/${protocol}`;
}
