import type { VersionDocument } from "../../client/documents.ts";
import { API_VERSION } from "../../client/engine-client.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { goStruct } from "../../output/go-struct.ts";
import { alignColumns } from "../../output/tab-writer.ts";
import { renderDocument, TEMPLATE_STATUS } from "../../output/template-output.ts";
import type { Session } from "../../session.ts";
import { BUILT, CLIENT_VERSION, GIT_COMMIT } from "../../version.ts";
import { INSPECT_FORMAT_HELP } from "../list-flags.ts";

type VersionComponent = NonNullable<VersionDocument["Components"]>[number];

interface ClientVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly DefaultAPIVersion: string;
  readonly GitCommit: string;
  readonly GoVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly BuildTime: string;
  readonly Context: string;
}

export const version = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: { format: flag.string(INSPECT_FORMAT_HELP, { short: "f" }) },
  examples: [["slipway version --format '{{.Server.Version}}'", "The engine's version only"]],
  async run({ flags, session }) {
    const { format } = flags;
    // Who asks for the client alone need not wait for an engine.
    const clientOnly = format !== "" && /\.Client\b/.test(format) && !/\.Server\b|json|\{\{ *\. *\}\}|\$/.test(format);
    if (clientOnly) {
      const client = await clientVersion(session, API_VERSION);
      session.io.stdout.write(await renderDocument(await documentOf(client, undefined), format, TEMPLATE_STATUS));
      return 0;
    }
    let server: VersionDocument | undefined;
    let failure: unknown;
    let apiVersion = API_VERSION;
    try {
      const engine = await session.client();
      server = await engine.json<VersionDocument>("GET", "/version");
      apiVersion = engine.apiVersion;
    } catch (error) {
      failure = error;
    }
    const client = await clientVersion(session, apiVersion);
    if (format === "") session.io.stdout.write(versionTable(client, server));
    else {
      session.io.stdout.write(await renderDocument(await documentOf(client, server), format, TEMPLATE_STATUS));
    }
    if (failure !== undefined) throw failure;
    return 0;
  },
});

async function clientVersion(session: Session, apiVersion: string): Promise<ClientVersion> {
  return {
    Version: CLIENT_VERSION,
    ApiVersion: apiVersion,
    DefaultAPIVersion: API_VERSION,
    GitCommit: GIT_COMMIT,
    GoVersion: `bun${Bun.version}`,
    Os: process.platform,
    Arch: process.arch === "x64" ? "amd64" : process.arch,
    BuildTime: ansiDate(BUILT),
    Context: await session.contextName(),
  };
}

/** Docker's templates write `.APIVersion` where its JSON writes `ApiVersion`. */
async function documentOf(client: ClientVersion, server: VersionDocument | undefined): Promise<object> {
  const apiVersion = (version: { readonly ApiVersion: string }) => ({ APIVersion: version.ApiVersion });
  const theirs = server && {
    ...server,
    ...(server.Components && { Components: server.Components.map(shownComponent) }),
  };
  return await goStruct("system.versionInfo", {
    Client: await goStruct("system.clientVersion", client, apiVersion(client)),
    Server: theirs === undefined ? null : await goStruct("*types.Version", theirs, apiVersion(theirs)),
  });
}

/** Details are a map, which Go sorts, with a date as people write it. */
function shownComponent(component: VersionComponent): VersionComponent {
  const details = Object.entries(component.Details ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = details.map(([name, text]) => [name, name === "BuildTime" ? ansiDate(text) : text]);
  return { ...component, Details: Object.fromEntries(shown) as Record<string, string> };
}

function versionTable(client: ClientVersion, server: VersionDocument | undefined): string {
  const downgraded =
    client.ApiVersion === client.DefaultAPIVersion ? "" : ` (downgraded from ${client.DefaultAPIVersion})`;
  const lines = [
    "Client: Slipway",
    ` Version:\t${client.Version}`,
    ` API version:\t${client.ApiVersion}${downgraded}`,
    ` Bun version:\t${Bun.version}`,
    ` Git commit:\t${client.GitCommit}`,
    ...(client.BuildTime === "" ? [] : [` Built:\t${client.BuildTime}`]),
    ` OS/Arch:\t${client.Os}/${client.Arch}`,
    ` Context:\t${client.Context}`,
  ];
  return alignColumns(`${[...lines, ...(server === undefined ? [] : serverLines(server))].join("\n")}\n`, {
    minWidth: 20,
    padding: 1,
  });
}

function serverLines(server: VersionDocument): string[] {
  const components = server.Components ?? [{ Name: "Engine", Version: server.Version }];
  return [
    "",
    `Server:${server.Platform?.Name ? ` ${server.Platform.Name}` : ""}`,
    ...components.flatMap((component) => [
      ` ${component.Name}:`,
      `  Version:\t${component.Version}`,
      ...(component.Name === "Engine" ? engineLines(server) : detailLines(component.Details)),
    ]),
  ];
}

function engineLines(server: VersionDocument): string[] {
  return [
    `  API version:\t${server.ApiVersion} (minimum version ${server.MinAPIVersion ?? ""})`,
    ...(server.GoVersion ? [`  Go version:\t${server.GoVersion}`] : []),
    `  Git commit:\t${server.GitCommit ?? ""}`,
    ...(server.BuildTime ? [`  Built:\t${ansiDate(server.BuildTime)}`] : []),
    `  OS/Arch:\t${server.Os ?? ""}/${server.Arch ?? ""}`,
    `  Experimental:\t${String(server.Experimental ?? false)}`,
  ];
}

function detailLines(details: Readonly<Record<string, string>> | undefined): string[] {
  return Object.keys(details ?? {})
    .sort()
    .map((key) => `  ${key}:\t${details?.[key] ?? ""}`);
}

/** `Mon Jan  2 15:04:05 2006` in UTC; a text that is no date stays as it is. */
function ansiDate(text: string): string {
  const date = new Date(text);
  if (text === "" || Number.isNaN(date.getTime())) return text;
  const [day = "", dayOfMonth = "", month = "", year = "", time = ""] = date.toUTCString().replace(",", "").split(" ");
  return `${day} ${month} ${String(Number(dayOfMonth)).padStart(2)} ${time} ${year}`;
}
