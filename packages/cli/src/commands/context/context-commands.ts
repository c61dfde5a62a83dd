import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { requireGoodConfig } from "../../client/config-file.ts";
import { type ContextMeta, ContextStore, checkContextName, setCurrentContext } from "../../client/context-store.ts";
import { DEFAULT_SOCKET } from "../../client/host.ts";
import { ExitError } from "../../errors.ts";
import { ANY, atLeast, command, exactly, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { asStream, inputFile } from "../../input-file.ts";
import { goJson } from "../../output/go-json.ts";
import { type Listing, renderListing } from "../../output/listing.ts";
import { renderDocument } from "../../output/template-output.ts";
import { ellipsis } from "../../output/text.ts";
import type { Session } from "../../session.ts";
import { FORMAT_HELP, INSPECT_FORMAT_HELP } from "../list-flags.ts";
import { contextArchive, readContextArchive } from "./archive.ts";
import { parsePairs, readEndpoint } from "./endpoint.ts";

const DESCRIPTION = flag.string("Description of the context");
const DOCKER = flag.list("Endpoint: host=HOST, ca=FILE, cert=FILE, key=FILE, skip-tls-verify=true, from=NAME", {
  type: "stringToString",
  check: (text) => void parsePairs([text]),
});
const DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration";

function storeOf(session: Session): ContextStore {
  return new ContextStore(resolve(session.configDirectory));
}

/** `default` is no folder: it is what the environment says. */
function defaultContext(session: Session, described: boolean): ContextMeta {
  return {
    Name: "default",
    Metadata: described ? { Description: DEFAULT_DESCRIPTION } : {},
    Endpoints: {
      docker: {
        Host: session.hostFlag || session.io.env.DOCKER_HOST || `unix://${DEFAULT_SOCKET}`,
        SkipTLSVerify: false,
      },
    },
  };
}

function get(session: Session, name: string): ContextMeta {
  return name === "default" ? defaultContext(session, false) : storeOf(session).get(name);
}

function done(session: Session, name: string, what: string): number {
  session.io.stdout.write(`${name}\n`);
  session.io.stderr.write(`${what}\n`);
  return 0;
}

export const create = command({
  usage: "[OPTIONS] CONTEXT",
  args: exactly(1),
  flags: { description: DESCRIPTION, docker: DOCKER, from: flag.string("Make it from this context") },
  examples: [["slipway context create far --docker host=tcp://far:2376,ca=ca.pem", "An engine on another machine"]],
  async run({ flags, args: [name = ""], session }) {
    checkContextName(name);
    const store = storeOf(session);
    if (store.has(name)) throw new ExitError(1, `context "${name}" already exists`);
    if (flags.from !== "" && flags.docker.length > 0) {
      throw new ExitError(1, "cannot use --docker flag when --from is set");
    }
    if (flags.docker.length > 0) {
      const { endpoint, tls } = readEndpoint(store, flags.docker, "unable to create docker endpoint config");
      const Metadata = flags.description === "" ? {} : { Description: flags.description };
      store.save({ Name: name, Metadata, Endpoints: { docker: endpoint } }, tls);
    } else {
      const from = flags.from || (await session.contextName());
      const meta = from === "default" ? defaultContext(session, true) : store.get(from);
      const described = flags.description === "" ? {} : { Description: flags.description };
      const tls = from === "default" ? {} : store.tls(from);
      store.save({ ...meta, Name: name, Metadata: { ...meta.Metadata, ...described } }, tls);
    }
    return done(session, name, `Successfully created context "${name}"`);
  },
});

export const update = command({
  usage: "[OPTIONS] CONTEXT",
  args: exactly(1),
  flags: { description: DESCRIPTION, docker: DOCKER },
  async run({ flags, args: [name = ""], session }) {
    checkContextName(name);
    const store = storeOf(session);
    const meta = store.get(name);
    const described = flags.description === "" ? {} : { Description: flags.description };
    const Metadata = { ...meta.Metadata, ...described };
    if (flags.docker.length === 0) store.save({ ...meta, Metadata });
    else {
      const { endpoint, tls } = readEndpoint(store, flags.docker, "unable to create docker endpoint config");
      store.save({ ...meta, Metadata, Endpoints: { ...meta.Endpoints, docker: endpoint } }, tls);
    }
    return done(session, name, `Successfully updated context "${name}"`);
  },
});

export const show = command({
  usage: "",
  args: NO_ARGUMENTS,
  flags: {},
  async run({ session }) {
    session.io.stdout.write(`${await session.contextName()}\n`);
    return 0;
  },
});

export const use = command({
  usage: "CONTEXT",
  args: exactly(1),
  flags: {},
  async run({ args: [name = ""], session }) {
    if (name !== "default") {
      checkContextName(name);
      storeOf(session).get(name);
    }
    // Read first: a file that is not JSON is told, not replaced.
    await requireGoodConfig(session.configDirectory);
    setCurrentContext(session.configDirectory, name);
    done(session, name, `Current context is now "${name}"`);
    if (session.io.env.DOCKER_HOST && name !== "default") {
      session.io.stderr.write(
        `Warning: DOCKER_HOST environment variable overrides the active context. To use "${name}", either set the global --context flag, or unset DOCKER_HOST environment variable.\n`,
      );
    }
    return 0;
  },
});

export const rm = command({
  usage: "[OPTIONS] CONTEXT [CONTEXT...]",
  args: atLeast(1),
  flags: { force: flag.bool("Remove it also when it is in use", { short: "f" }) },
  async run({ flags, args, session }) {
    const store = storeOf(session);
    const current = await session.contextName();
    const failures: string[] = [];
    for (const name of args) {
      const reason = refusal(store, name, { force: flags.force, current });
      if (reason !== undefined) {
        failures.push(reason);
        continue;
      }
      store.remove(name);
      if (name === (await session.config()).currentContext) setCurrentContext(session.configDirectory, "default");
      session.io.stdout.write(`${name}\n`);
    }
    if (failures.length > 0) throw new ExitError(1, failures.join("\n"));
    return 0;
  },
});

function refusal(
  store: ContextStore,
  name: string,
  { force, current }: { readonly force: boolean; readonly current: string },
): string | undefined {
  if (name === "default") return 'context "default" cannot be removed';
  if (force) return undefined;
  if (!store.has(name)) return `context "${name}" does not exist`;
  return name === current ? `context "${name}" is in use, set -f flag to force remove` : undefined;
}

interface Row {
  readonly meta: ContextMeta;
  readonly current: boolean;
  readonly error: string;
}

const LISTING: Listing<Row> = {
  type: "*formatter.clientContextContext",
  fields: {
    Name: { heading: "NAME", value: ({ meta }) => meta.Name },
    Description: { heading: "DESCRIPTION", value: ({ meta }) => ellipsis(meta.Metadata.Description ?? "", 60) },
    DockerEndpoint: { heading: "DOCKER ENDPOINT", value: ({ meta }) => meta.Endpoints.docker?.Host ?? "" },
    Current: { heading: "CURRENT", value: ({ current }) => current },
    Error: { heading: "ERROR", value: ({ error }) => ellipsis(error, 45) },
    Marked: { heading: "NAME", method: true, value: ({ meta, current }) => (current ? `${meta.Name} *` : meta.Name) },
  },
  table: ["Marked", "Description", "DockerEndpoint", "Error"],
  quiet: "Name",
};

export const ls = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: { format: flag.string(FORMAT_HELP), quiet: flag.bool("Show names only", { short: "q" }) },
  async run({ flags, session }) {
    const store = storeOf(session);
    const current = await session.contextName();
    const metas = [...store.all(), defaultContext(session, true)];
    const rows = metas.map((meta) => ({ meta, current: meta.Name === current, error: "" }));
    if (!rows.some((row) => row.current)) rows.push(missing(store, current));
    rows.sort((a, b) => (a.meta.Name < b.meta.Name ? -1 : 1));
    session.io.stdout.write(await renderListing(LISTING, rows, flags));
    if (session.io.env.DOCKER_HOST) {
      session.io.stderr.write(
        "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable.\n",
      );
    }
    return 0;
  },
});

/** The one in use, which does not exist. */
function missing(store: ContextStore, name: string): Row {
  try {
    return { meta: store.get(name), current: true, error: "" };
  } catch (error) {
    return { meta: { Name: name, Metadata: {}, Endpoints: {} }, current: true, error: (error as Error).message };
  }
}

export const inspect = command({
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  args: { min: 0, max: ANY },
  flags: { format: flag.string(INSPECT_FORMAT_HELP, { short: "f" }) },
  async run({ flags, args, session }) {
    const documents: object[] = [];
    const failures: string[] = [];
    for (const name of args.length > 0 ? args : [await session.contextName()]) {
      try {
        documents.push(inspected(session, get(session, name)));
      } catch (error) {
        if (!(error instanceof ExitError)) throw error;
        failures.push(error.message);
      }
    }
    const { stdout } = session.io;
    if (flags.format === "") stdout.write(`${goJson(JSON.stringify(documents, undefined, 4))}\n`);
    else if (flags.format === "json") stdout.write(`${goJson(JSON.stringify(documents))}\n`);
    else for (const document of documents) stdout.write(await renderDocument(document, flags.format));
    if (failures.length > 0) throw new ExitError(1, failures.join("\n"));
    return 0;
  },
});

function inspected(session: Session, meta: ContextMeta): object {
  const store = storeOf(session);
  const inMemory = meta.Name === "default";
  const tls = inMemory ? {} : store.tls(meta.Name);
  return {
    Name: meta.Name,
    Metadata: meta.Metadata,
    Endpoints: meta.Endpoints,
    TLSMaterial: Object.fromEntries(Object.entries(tls).map(([endpoint, files]) => [endpoint, Object.keys(files)])),
    Storage: {
      MetadataPath: inMemory ? "<IN MEMORY>" : store.metaDirectory(meta.Name),
      TLSPath: inMemory ? "<IN MEMORY>" : store.tlsDirectory(meta.Name),
    },
  };
}

export const exportContext = command({
  usage: "[OPTIONS] CONTEXT [FILE|-]",
  args: { min: 1, max: 2 },
  flags: {},
  async run({ args: [name = "", file], session }) {
    const tls = name === "default" ? {} : storeOf(session).tls(name);
    const archive = contextArchive(get(session, name), tls);
    const { stdout, stderr } = session.io;
    if (file === "-") {
      if (stdout.isTerminal()) throw new ExitError(1, "cowardly refusing to export to a terminal, specify a file path");
      stdout.write(archive);
      return 0;
    }
    const path = file ?? `${name}.dockercontext`;
    if (existsSync(resolve(session.io.cwd(), path))) throw new ExitError(1, `open ${path}: file exists`);
    writeFileSync(resolve(session.io.cwd(), path), archive, { mode: 0o600, flag: "wx" });
    stderr.write(`Written file "${path}"\n`);
    return 0;
  },
});

export const importContext = command({
  usage: "CONTEXT FILE|-",
  args: exactly(2),
  flags: {},
  async run({ args: [name = "", file = ""], session }) {
    checkContextName(name);
    const store = storeOf(session);
    if (store.has(name)) throw new ExitError(1, `context "${name}" already exists`);
    const source =
      file === "-" ? asStream(session.io.stdin.chunks()) : await inputFile(resolve(session.io.cwd(), file));
    const { meta, tls } = await readContextArchive(source);
    store.save({ ...meta, Name: name }, tls);
    return done(session, name, `Successfully imported context "${name}"`);
  },
});
