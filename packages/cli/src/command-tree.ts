import type { AbsentEntry, CommandEntry, Entry, GroupEntry } from "./grammar/command.ts";

/**
 * Every command of Docker's, and ours. This is the one table that start-up always reads: it holds names and summaries, and
 * loads a command's flags and code when the command is called.
 */

type Load = CommandEntry["load"];

function entry(name: string, summary: string, load: Load, more: Partial<CommandEntry> = {}): CommandEntry {
  return { kind: "command", name, summary, load, ...more };
}

function absent(name: string, summary: string, reason: string): AbsentEntry {
  return { kind: "absent", name, summary, reason };
}

function group(name: string, summary: string, entries: readonly Entry[]): GroupEntry {
  return { kind: "group", name, summary, entries };
}

const LATER = "is not built yet";
const SWARM = "is part of Docker Swarm: this engine runs on one machine and has no cluster";
const PLUGIN = "is about engine plug-ins, which this engine does not have: drivers are built in";

/** A command of a group that stands at the top too: both names are told in its help. */
function both(
  groupName: string,
  name: string,
  summary: string,
  load: Load,
  more: { readonly top?: string; readonly aliases?: readonly string[] } = {},
) {
  const top = more.top ?? name;
  const also = [`${groupName} ${name}`, ...(more.aliases ?? []).map((alias) => `${groupName} ${alias}`), top];
  return {
    inGroup: entry(name, summary, load, { also, ...(more.aliases === undefined ? {} : { aliases: more.aliases }) }),
    atTop: entry(top, summary, load, { also }),
  };
}

const CONTAINER = [
  both(
    "container",
    "attach",
    "Attach to a running container",
    async () => (await import("./commands/container/attach.ts")).attach,
  ),
  both(
    "container",
    "commit",
    "Make an image from a container",
    async () => (await import("./commands/container/commit.ts")).commit,
  ),
  both(
    "container",
    "cp",
    "Copy files between a container and this machine",
    async () => (await import("./commands/container/cp.ts")).cp,
  ),
  both(
    "container",
    "create",
    "Create a container without starting it",
    async () => (await import("./commands/container/create.ts")).create,
  ),
  both(
    "container",
    "diff",
    "Show changed files of a container",
    async () => (await import("./commands/container/diff.ts")).diff,
  ),
  both(
    "container",
    "exec",
    "Run a command in a running container",
    async () => (await import("./commands/container/exec.ts")).exec,
  ),
  both(
    "container",
    "export",
    "Write a container's files to a tar archive",
    async () => (await import("./commands/container/export.ts")).exportContainer,
  ),
  both("container", "kill", "Kill running containers", async () => (await import("./commands/container/life.ts")).kill),
  both(
    "container",
    "logs",
    "Show what a container has said",
    async () => (await import("./commands/container/logs.ts")).logs,
  ),
  both("container", "ls", "List containers", async () => (await import("./commands/container/ps.ts")).ps, {
    top: "ps",
    aliases: ["ps", "list"],
  }),
  both(
    "container",
    "pause",
    "Freeze all processes of containers",
    async () => (await import("./commands/container/life.ts")).pause,
  ),
  both(
    "container",
    "port",
    "Show the published ports of a container",
    async () => (await import("./commands/container/port.ts")).port,
  ),
  both("container", "rename", "Rename a container", async () => (await import("./commands/container/life.ts")).rename),
  both(
    "container",
    "restart",
    "Restart containers",
    async () => (await import("./commands/container/life.ts")).restart,
  ),
  both("container", "rm", "Remove containers", async () => (await import("./commands/container/life.ts")).rm, {
    aliases: ["remove"],
  }),
  both(
    "container",
    "run",
    "Create and run a new container from an image",
    async () => (await import("./commands/container/run.ts")).run,
  ),
  both(
    "container",
    "start",
    "Start stopped containers",
    async () => (await import("./commands/container/start.ts")).start,
  ),
  both(
    "container",
    "stats",
    "Show what containers use",
    async () => (await import("./commands/container/stats.ts")).stats,
  ),
  both("container", "stop", "Stop running containers", async () => (await import("./commands/container/life.ts")).stop),
  both(
    "container",
    "top",
    "Show the processes of a container",
    async () => (await import("./commands/container/top.ts")).top,
  ),
  both(
    "container",
    "unpause",
    "Thaw all processes of containers",
    async () => (await import("./commands/container/life.ts")).unpause,
  ),
  both(
    "container",
    "update",
    "Change limits of containers",
    async () => (await import("./commands/container/update.ts")).update,
  ),
  both(
    "container",
    "wait",
    "Wait until containers stop, then print their exit codes",
    async () => (await import("./commands/container/life.ts")).wait,
  ),
];

const IMAGE = [
  both(
    "image",
    "build",
    "Build an image from a Dockerfile",
    async () => (await import("./commands/builder/build.ts")).build,
  ),
  both(
    "image",
    "history",
    "Show the history of an image",
    async () => (await import("./commands/image/history.ts")).history,
  ),
  both(
    "image",
    "import",
    "Make an image from the files in a tar archive",
    async () => (await import("./commands/image/import.ts")).importImage,
  ),
  both("image", "load", "Load images from an archive", async () => (await import("./commands/image/load.ts")).load),
  both("image", "ls", "List images", async () => (await import("./commands/image/images.ts")).images, {
    top: "images",
    aliases: ["list"],
  }),
  both("image", "pull", "Fetch an image from a registry", async () => (await import("./commands/image/pull.ts")).pull),
  both("image", "push", "Send an image to a registry", async () => (await import("./commands/image/push.ts")).push),
  both("image", "rm", "Remove images", async () => (await import("./commands/image/rmi.ts")).rmi, {
    top: "rmi",
    aliases: ["remove"],
  }),
  both("image", "save", "Save images to an archive", async () => (await import("./commands/image/save.ts")).save),
  both("image", "tag", "Give an image another name", async () => (await import("./commands/image/tag.ts")).tag),
];

const SYSTEM = [
  both(
    "system",
    "events",
    "Show events of the engine as they happen",
    async () => (await import("./commands/system/events.ts")).events,
  ),
  both(
    "system",
    "info",
    "Show what this engine is and has",
    async () => (await import("./commands/system/info.ts")).info,
  ),
];

const inspectOf = (type: "container" | "image" | "volume" | "network") =>
  entry("inspect", `Show all about a ${type}`, async () => (await import("./commands/inspect.ts")).inspectType(type));
const pruneOf = (name: "container" | "image" | "volume" | "network" | "builder", summary: string) =>
  entry("prune", summary, async () => (await import("./commands/system/prune-commands.ts")).pruneCommand(name));

const buildInBuilder = entry(
  "build",
  "Build an image from a Dockerfile",
  async () => (await import("./commands/builder/build.ts")).build,
);
type ContextVerb = "create" | "export" | "import" | "inspect" | "ls" | "rm" | "show" | "update" | "use";
const contextCommand = (name: ContextVerb, summary: string) => {
  const load = async () => {
    const commands = await import("./commands/context/context-commands.ts");
    if (name === "export") return commands.exportContext;
    return name === "import" ? commands.importContext : commands[name];
  };
  return entry(
    name,
    summary,
    load,
    name === "ls" ? { aliases: ["list"] } : name === "rm" ? { aliases: ["remove"] } : {},
  );
};
const manifestCommand = (name: "annotate" | "create" | "inspect" | "push" | "rm", summary: string) =>
  entry(name, summary, async () => (await import("./commands/manifest/manifest-commands.ts"))[name]);
const swarm = (name: string, summary: string) => absent(name, summary, SWARM);

export const TREE: GroupEntry = group("slipway", "Build, run and understand containers", [
  ...CONTAINER.map(({ atTop }) => atTop),
  ...IMAGE.map(({ atTop }) => atTop),
  ...SYSTEM.map(({ atTop }) => atTop),
  entry(
    "inspect",
    "Show all about containers, images, volumes or networks",
    async () => (await import("./commands/inspect.ts")).inspect,
  ),
  entry(
    "version",
    "Show the versions of client and engine",
    async () => (await import("./commands/system/version.ts")).version,
  ),
  entry(
    "completion",
    "Print the script that completes command lines in a shell",
    async () => (await import("./commands/completion.ts")).completion,
  ),
  entry(
    "__complete",
    "Complete a command line (called by the shells' scripts)",
    async () => (await import("./commands/completion.ts")).completeWords,
    { hidden: true },
  ),
  entry(
    "doctor",
    "Look for what containers and builds miss on this machine",
    async () => (await import("./commands/system/doctor.ts")).doctor,
  ),
  entry("daemon", "Run the engine", async () => (await import("./commands/system/daemon.ts")).daemon),
  entry(
    "supervisor",
    "Run the supervisor of containers (started by the engine)",
    async () => (await import("./commands/system/supervisor.ts")).supervisor,
    { hidden: true },
  ),
  group("container", "Manage containers", [
    ...CONTAINER.map(({ inGroup }) => inGroup),
    inspectOf("container"),
    pruneOf("container", "Remove all stopped containers"),
  ]),
  group("image", "Manage images", [
    ...IMAGE.map(({ inGroup }) => inGroup),
    entry(
      "diff",
      "Show files that differ between two images",
      async () => (await import("./commands/image/diff.ts")).imageDiff,
    ),
    inspectOf("image"),
    pruneOf("image", "Remove images that nothing needs"),
  ]),
  group("volume", "Manage volumes", [
    entry("create", "Create a volume", async () => (await import("./commands/volume/create.ts")).create),
    entry("ls", "List volumes", async () => (await import("./commands/volume/ls.ts")).ls, { aliases: ["list"] }),
    entry("rm", "Remove volumes", async () => (await import("./commands/volume/rm.ts")).rm, { aliases: ["remove"] }),
    inspectOf("volume"),
    pruneOf("volume", "Remove volumes that no container uses"),
    swarm("update", "Update a cluster volume"),
  ]),
  group("network", "Manage networks", [
    entry("ls", "List networks", async () => (await import("./commands/network/ls.ts")).ls, { aliases: ["list"] }),
    entry("rm", "Remove networks", async () => (await import("./commands/network/rm.ts")).rm, { aliases: ["remove"] }),
    inspectOf("network"),
    pruneOf("network", "Remove networks that no container uses"),
    entry(
      "connect",
      "Connect a container to a network",
      async () => (await import("./commands/network/connect.ts")).connect,
    ),
    entry("create", "Create a network", async () => (await import("./commands/network/create.ts")).create),
    entry(
      "disconnect",
      "Disconnect a container from a network",
      async () => (await import("./commands/network/disconnect.ts")).disconnect,
    ),
  ]),
  group("builder", "Manage builds", [buildInBuilder, pruneOf("builder", "Remove the build cache")]),
  group("buildx", "Build, as Docker's plug-in of this name is called", [
    group("imagetools", "Look at images in registries, copy and join them", [
      entry(
        "create",
        "Copy an image, or join several to one",
        async () => (await import("./commands/manifest/imagetools.ts")).create,
      ),
      entry(
        "inspect",
        "Show what a name means in a registry",
        async () => (await import("./commands/manifest/imagetools.ts")).inspect,
      ),
    ]),
    buildInBuilder,
    pruneOf("builder", "Remove the build cache"),
    ...["bake", "create", "du", "history", "inspect", "ls", "rm", "stop", "use"].map((name) => absent(name, "", LATER)),
  ]),
  group("system", "Manage the engine", [
    ...SYSTEM.map(({ inGroup }) => inGroup),
    entry("df", "Show what takes space", async () => (await import("./commands/system/df.ts")).df),
    entry("prune", "Remove what nothing needs", async () => (await import("./commands/system/prune.ts")).prune),
    group("trash", "Manage what prunes took and can be brought back", [
      entry("ls", "List what can be brought back", async () => (await import("./commands/system/trash.ts")).trashLs, {
        aliases: ["list"],
      }),
      entry("empty", "Free what the trash holds", async () => (await import("./commands/system/trash.ts")).trashEmpty),
    ]),
    entry("undo", "Bring back what a prune took", async () => (await import("./commands/system/trash.ts")).undo),
    entry(
      "dial-stdio",
      "Connect stdin and stdout with the engine",
      async () => (await import("./commands/system/dial-stdio.ts")).dialStdio,
      { hidden: true },
    ),
  ]),
  group("registry", "Run a registry", [
    entry("gc", "Remove what nothing refers to", async () => (await import("./commands/registry/gc.ts")).gc),
    entry("serve", "Serve a registry", async () => (await import("./commands/registry/serve.ts")).serve),
    group("user", "Manage users of a registry", [
      entry("add", "Add a user, or replace one", async () => (await import("./commands/registry/user.ts")).addUser),
      entry("ls", "List users", async () => (await import("./commands/registry/user.ts")).listUsers, {
        aliases: ["list"],
      }),
      entry("rm", "Remove a user", async () => (await import("./commands/registry/user.ts")).removeUser, {
        aliases: ["remove"],
      }),
    ]),
  ]),
  group("context", "Manage contexts", [
    contextCommand("create", "Create a context"),
    contextCommand("export", "Write a context to a tar archive"),
    contextCommand("import", "Make a context from a tar archive"),
    contextCommand("inspect", "Show all about contexts"),
    contextCommand("ls", "List contexts"),
    contextCommand("rm", "Remove contexts"),
    contextCommand("show", "Print the name of the context in use"),
    contextCommand("update", "Change a context"),
    contextCommand("use", "Choose the context to use from now on"),
  ]),
  group("manifest", "Manage manifests", [
    manifestCommand("annotate", "Say for which platform a manifest in a local list is"),
    manifestCommand("create", "Make a local list of manifests"),
    manifestCommand("inspect", "Show a manifest or a list"),
    manifestCommand("push", "Send a local list to its registry"),
    manifestCommand("rm", "Remove local lists"),
  ]),
  entry("login", "Log in to a registry", async () => (await import("./commands/registry/login.ts")).login),
  entry("logout", "Log out of a registry", async () => (await import("./commands/registry/logout.ts")).logout),
  entry("search", "Search a registry's index", async () => (await import("./commands/registry/search.ts")).search),
  absent("bake", "Build from a file", LATER),
  absent(
    "compose",
    "Run several containers together",
    `${LATER}: Docker's own compose works with DOCKER_HOST set to our socket`,
  ),
  absent("checkpoint", "Manage checkpoints", LATER),
  absent("plugin", "Manage plug-ins", PLUGIN),
  swarm("swarm", "Manage a swarm"),
  swarm("node", "Manage nodes"),
  swarm("service", "Manage services"),
  swarm("stack", "Manage stacks"),
  swarm("secret", "Manage secrets"),
  swarm("config", "Manage configs"),
]);
