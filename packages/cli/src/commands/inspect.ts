import type { EngineClient, Query } from "../client/engine-client.ts";
import { ApiError, ExitError, failureLines } from "../errors.ts";
import { atLeast, type Command, command } from "../grammar/command.ts";
import { flag } from "../grammar/flag.ts";
import { renderInspected } from "../output/inspected.ts";
import type { Session } from "../session.ts";
import { segment } from "./each.ts";
import { imagePath } from "./image/image-path.ts";
import { INSPECT_FORMAT_HELP } from "./list-flags.ts";
import { imageLogin } from "./registry/registry-access.ts";

export type InspectType = "container" | "image" | "volume" | "network";

const TYPES: readonly InspectType[] = ["container", "image", "network", "volume"];
const SWARM_TYPES = ["node", "service", "task", "plugin", "secret", "config"];

const FIRST_FACTS = {
  container: "{{.State.Status}}",
  image: "{{json .Config.Env}}",
  network: "{{json .IPAM.Config}}",
  volume: "{{.Mountpoint}}",
} as const;

export const inspect = command({
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  args: atLeast(1),
  flags: {
    format: flag.string(INSPECT_FORMAT_HELP, { short: "f" }),
    size: flag.bool("Show sizes of files, of containers", { short: "s" }),
    type: flag.string("Look for this type only: container, image, volume or network"),
  },
  examples: [["slipway inspect -f '{{.State.Status}}' web", "One fact of a container"]],
  async run({ flags, given, args, session }) {
    if (given("type") && flags.type === "") {
      throw new ExitError(1, 'type is empty: must be one of "container", "image", "network", "volume"');
    }
    if (flags.type !== "" && !isType(flags.type)) {
      const why = SWARM_TYPES.includes(flags.type)
        ? "this engine has none of those"
        : "it must be container, image, volume or network";
      throw new ExitError(1, `"${flags.type}" is not a valid value for --type: ${why}`);
    }
    const types = isType(flags.type) ? [flags.type] : TYPES;
    return await inspectAll({ session, names: args, format: flags.format, query: { size: flags.size } }, types);
  },
});

/** `container inspect` and its kin. */
export function inspectType(type: InspectType): Command {
  return command({
    usage: `[OPTIONS] ${type.toUpperCase()} [${type.toUpperCase()}...]`,
    args: atLeast(1),
    flags: {
      format: flag.string(INSPECT_FORMAT_HELP, { short: "f" }),
      ...(type === "container" ? { size: flag.bool("Show sizes of files", { short: "s" }) } : {}),
      ...(type === "image"
        ? {
            platform: flag.string("Show this platform's image"),
            remote: flag.bool("Show what the registry has, without fetching the image"),
          }
        : {}),
      ...(type === "network" ? { verbose: flag.bool("Show more", { short: "v" }) } : {}),
    },
    examples: [[`slipway ${type} inspect --format '${FIRST_FACTS[type]}' NAME`, "One fact of it"]],
    async run({ flags, args, session }) {
      const values = flags as {
        format: string;
        size?: boolean;
        platform?: string;
        verbose?: boolean;
        remote?: boolean;
      };
      const query = { size: values.size, platform: values.platform || undefined, verbose: values.verbose };
      const remote = values.remote === true;
      return await inspectAll({ session, names: args, format: values.format, query, remote }, [type]);
    },
  });
}

interface Inspection {
  readonly session: Session;
  readonly names: readonly string[];
  readonly format: string;
  readonly query: Query;
  /** Ask the registries. */
  readonly remote?: boolean;
}

async function inspectAll(
  { session, names, format, query, remote }: Inspection,
  types: readonly InspectType[],
): Promise<number> {
  const client = await session.client();
  const found: { type: InspectType; text: string }[] = [];
  const failures: string[] = [];
  for (const name of names) {
    try {
      found.push(remote ? await inspectRemote(session, name, query) : await inspectOne(client, name, types, query));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failures.push(...failureLines(error));
    }
  }
  const { stdout, stderr } = session.io;
  const rendered = await renderInspected(found, format);
  stdout.write(rendered.text);
  failures.push(...rendered.failures);
  if (failures.length === 0) return 0;
  await stdout.flush();
  stderr.write(`${failures.join("\n")}\n`);
  return 1;
}

async function inspectRemote(session: Session, name: string, query: Query) {
  const client = await session.client();
  const headers = await imageLogin(session, name);
  const path = `/slipway/distribution/${imagePath(name)}/image`;
  const response = await client.request("GET", path, { query: { platform: query.platform }, headers });
  return { type: "image" as const, text: await response.text() };
}

async function inspectOne(client: EngineClient, name: string, types: readonly InspectType[], query: Query) {
  let hint: string | undefined;
  for (const type of types) {
    try {
      const response = await client.request("GET", pathOf(type, name), { query });
      return { type, text: await response.text() };
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || types.length === 1) throw error;
      hint ??= error.hint;
    }
  }
  throw new ObjectNotFound(name, hint);
}

/** Docker's words for a name that is nothing at all. */
class ObjectNotFound extends ApiError {
  constructor(name: string, hint: string | undefined) {
    super(404, `No such object: ${name}`, hint);
    this.message = `Error: No such object: ${name}`;
  }
}

function pathOf(type: InspectType, name: string): string {
  switch (type) {
    case "container":
      return `/containers/${segment(name)}/json`;
    case "image":
      return `/images/${imagePath(name)}/json`;
    case "volume":
      return `/volumes/${segment(name)}`;
    case "network":
      return `/networks/${segment(name)}`;
  }
}

function isType(text: string): text is InspectType {
  return (TYPES as readonly string[]).includes(text);
}
