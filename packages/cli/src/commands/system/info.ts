import { binarySize } from "@slipway/base";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { goStruct } from "../../output/go-struct.ts";
import { renderDocument, TEMPLATE_STATUS } from "../../output/template-output.ts";
import { CLIENT_VERSION } from "../../version.ts";
import { INSPECT_FORMAT_HELP } from "../list-flags.ts";

interface InfoDocument {
  readonly [field: string]: unknown;
  readonly DriverStatus?: readonly (readonly [string, string])[] | null;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>>;
  readonly Swarm?: { readonly LocalNodeState?: string };
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly SecurityOptions?: readonly string[] | null;
  readonly Labels?: readonly string[] | null;
  readonly Warnings?: readonly string[] | null;
  readonly MemTotal?: number;
}

/** Fields of Docker's that JSON leaves out when they are empty. */
const OMITTED = {
  BridgeNfIptables: false,
  BridgeNfIp6tables: false,
  CDISpecDirs: [],
  ClusterAdvertise: "",
  ClusterStore: "",
  Containerd: null,
  DefaultAddressPools: [],
  DiscoveredDevices: [],
  FirewallBackend: null,
  KernelMemory: false,
  KernelMemoryTCP: false,
  NRI: null,
  ProductLicense: "",
  ServerErrors: [],
  SystemStatus: [],
};

export const info = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: { format: flag.string(INSPECT_FORMAT_HELP, { short: "f" }) },
  examples: [["slipway info --format '{{.Driver}}'", "One fact of the engine"]],
  async run({ flags, session }) {
    const { stdout, stderr } = session.io;
    const client = {
      Debug: session.debug,
      Version: CLIENT_VERSION,
      Context: await session.contextName(),
      Plugins: [],
      Warnings: null,
    };
    if (flags.format === "") stdout.write(clientLines(client));
    let server: InfoDocument;
    try {
      const engine = await session.client();
      server = await engine.json<InfoDocument>("GET", "/info");
    } finally {
      // What is known of the client is shown also when no engine answers.
      await stdout.flush();
    }
    if (flags.format !== "") {
      const document = await goStruct("system.dockerInfo", { ...server, ClientInfo: client }, OMITTED);
      stdout.write(await renderDocument(document, flags.format, TEMPLATE_STATUS));
      return 0;
    }
    stdout.write(`\nServer:\n${serverLines(server).join("\n")}\n\n`);
    for (const warning of server.Warnings ?? []) stderr.write(`${warning}\n`);
    return 0;
  },
});

function clientLines(client: { Version: string; Context: string; Debug: boolean }): string {
  return `Client: Slipway\n Version:    ${client.Version}\n Context:    ${client.Context}\n Debug Mode: ${client.Debug}\n`;
}

function serverLines(server: InfoDocument): string[] {
  const field = (name: string) => String(server[name] ?? "");
  const filled = (label: string, name: string) => (field(name) === "" ? [] : [` ${label}: ${field(name)}`]);
  const plugins = (name: string) => (server.Plugins?.[name] ?? []).join(" ");
  return [
    ` Containers: ${field("Containers")}`,
    `  Running: ${field("ContainersRunning")}`,
    `  Paused: ${field("ContainersPaused")}`,
    `  Stopped: ${field("ContainersStopped")}`,
    ` Images: ${field("Images")}`,
    ...filled("Server Version", "ServerVersion"),
    ...filled("Storage Driver", "Driver"),
    ...(server.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    ...filled("Logging Driver", "LoggingDriver"),
    ...filled("Cgroup Driver", "CgroupDriver"),
    ...filled("Cgroup Version", "CgroupVersion"),
    " Plugins:",
    `  Volume: ${plugins("Volume")}`,
    `  Network: ${plugins("Network")}`,
    `  Log: ${plugins("Log")}`,
    ` Swarm: ${server.Swarm?.LocalNodeState ?? "inactive"}`,
    ...(server.Runtimes === undefined ? [] : [` Runtimes: ${Object.keys(server.Runtimes).join(" ")}`]),
    ...filled("Default Runtime", "DefaultRuntime"),
    ...securityLines(server.SecurityOptions ?? []),
    ...filled("Kernel Version", "KernelVersion"),
    ...filled("Operating System", "OperatingSystem"),
    ...filled("OSType", "OSType"),
    ...filled("Architecture", "Architecture"),
    ` CPUs: ${field("NCPU")}`,
    ` Total Memory: ${binarySize(server.MemTotal ?? 0)}`,
    ...filled("Name", "Name"),
    ...filled("ID", "ID"),
    ` Root Dir: ${field("DockerRootDir")}`,
    ` Debug Mode: ${field("Debug")}`,
    ...filled("HTTP Proxy", "HttpProxy"),
    ...filled("HTTPS Proxy", "HttpsProxy"),
    ...filled("No Proxy", "NoProxy"),
    ...((server.Labels ?? []).length === 0 ? [] : [" Labels:", ...(server.Labels ?? []).map((label) => `  ${label}`)]),
    ` Experimental: ${field("ExperimentalBuild")}`,
    ` Live Restore Enabled: ${field("LiveRestoreEnabled")}`,
  ];
}

/** `name=seccomp,profile=builtin` as a line and an indented one. */
function securityLines(options: readonly string[]): string[] {
  if (options.length === 0) return [];
  return [
    " Security Options:",
    ...options.flatMap((option) => {
      const fields = Object.fromEntries(
        option.split(",").map((pair) => [pair.split("=")[0], pair.split("=").slice(1).join("=")]),
      );
      return [`  ${fields.name ?? option}`, ...(fields.profile === undefined ? [] : [`   Profile: ${fields.profile}`])];
    }),
  ];
}
