import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { pairs } from "../../notation/environment.ts";

export const daemon = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    bip: flag.string("Address of the bridge, with its network (172.18.0.1/16)"),
    bridge: flag.string("Name of the bridge", { short: "b" }),
    "config-file": flag.string("Configuration file", { default: "" }),
    "data-root": flag.string("Folder of images, containers and volumes (default /var/lib/slipway)"),
    debug: flag.bool("Write debug messages", { short: "D" }),
    "exec-root": flag.string("Folder of the running state (default /run/slipway)"),
    group: flag.string("Group of the socket", { short: "G" }),
    host: flag.list("Where to listen: unix:///path or tcp://127.0.0.1:port", { short: "H" }),
    "insecure-registry": flag.list("Registry (host or CIDR) that may be reached without TLS"),
    "live-restore": flag.bool("Leave containers running when the daemon ends", { default: true }),
    "log-driver": flag.string("Log driver of containers"),
    "log-format": flag.string("Form of the daemon's messages: text or json"),
    "log-level": flag.string("Level of the daemon's messages: debug, info, warn, error or fatal", { short: "l" }),
    "log-opt": flag.list("Option of the log driver (max-size=10m)"),
    "max-concurrent-downloads": flag.int("Layers that are downloaded at once", { default: 3 }),
    "max-concurrent-uploads": flag.int("Layers that are uploaded at once", { default: 5 }),
    "max-download-attempts": flag.int("Attempts of a transfer that bring nothing", { default: 5 }),
    pidfile: flag.string("File for the daemon's process ID", { short: "p" }),
    "registry-mirror": flag.list("Mirror that is asked before Docker Hub: https://host[:port]"),
    "shutdown-timeout": flag.int("Seconds that a shutdown may take", { default: 15 }),
    tls: flag.bool("Serve TCP addresses with TLS (implied by --tlsverify)"),
    tlscacert: flag.string("Authority that signs clients' certificates (default ~/.docker/ca.pem)"),
    tlscert: flag.string("Certificate of the engine (default ~/.docker/cert.pem)"),
    tlskey: flag.string("Key of the engine's certificate (default ~/.docker/key.pem)"),
    "trash-size": flag.string(
      "How much of what is pruned can be brought back (default 10% of the disk, at most 10GB; 0 is nothing)",
    ),
    "trash-time": flag.string("For how long (default 24h)"),
    tlsverify: flag.bool("Serve only clients with a certificate of the authority"),
  },
  examples: [
    ["slipway daemon &", "The engine of this machine, at /run/slipway.sock"],
    ["slipway daemon -H unix:///tmp/two.sock --data-root /tmp/two", "A second one beside it"],
    ["slipway daemon -H tcp://0.0.0.0 --tlsverify", "For clients with a certificate, on port 2376"],
  ],
  async run({ flags, given }) {
    const { runDaemon } = await import("@slipway/daemon");
    type Text =
      | "data-root"
      | "bip"
      | "bridge"
      | "group"
      | "tlscacert"
      | "tlscert"
      | "tlskey"
      | "trash-size"
      | "trash-time";
    const text = <Name extends Text>(name: Name) => (given(name) ? flags[name] : undefined);
    const all = {
      hosts: given("host") ? flags.host : undefined,
      dataRoot: text("data-root"),
      execRoot: given("exec-root") ? flags["exec-root"] : undefined,
      pidfile: given("pidfile") ? flags.pidfile : undefined,
      configFile: given("config-file") ? flags["config-file"] : undefined,
      logLevel: given("log-level") ? flags["log-level"] : undefined,
      logFormat: given("log-format") ? flags["log-format"] : undefined,
      debug: given("debug") ? flags.debug : undefined,
      bridge: text("bridge"),
      bip: text("bip"),
      group: text("group"),
      shutdownTimeout: given("shutdown-timeout") ? flags["shutdown-timeout"] : undefined,
      liveRestore: given("live-restore") ? flags["live-restore"] : undefined,
      logDriver: given("log-driver") ? flags["log-driver"] : undefined,
      insecureRegistries: given("insecure-registry") ? flags["insecure-registry"] : undefined,
      registryMirrors: given("registry-mirror") ? flags["registry-mirror"] : undefined,
      maxConcurrentDownloads: given("max-concurrent-downloads") ? flags["max-concurrent-downloads"] : undefined,
      maxConcurrentUploads: given("max-concurrent-uploads") ? flags["max-concurrent-uploads"] : undefined,
      maxDownloadAttempts: given("max-download-attempts") ? flags["max-download-attempts"] : undefined,
      logOpts: given("log-opt") ? pairs(flags["log-opt"]) : undefined,
      tls: given("tls") ? flags.tls : undefined,
      tlsverify: given("tlsverify") ? flags.tlsverify : undefined,
      tlscacert: text("tlscacert"),
      tlscert: text("tlscert"),
      tlskey: text("tlskey"),
      trashSize: text("trash-size"),
      trashTime: text("trash-time"),
    };
    return await runDaemon(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  },
});
