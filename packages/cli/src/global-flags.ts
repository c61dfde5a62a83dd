import { type FlagValues, flag } from "./grammar/flag.ts";

/** Flags before the command, as Docker has them. */
export const GLOBAL_FLAGS = {
  config: flag.string("Folder of the client's files (default ~/.docker)"),
  context: flag.string("Name of the context to use (overrides DOCKER_HOST and the one set with 'context use')", {
    short: "c",
  }),
  debug: flag.bool("Say more about what goes wrong", { short: "D" }),
  host: flag.list("Engine to connect to: unix:///path, tcp://host:port or ssh://user@host", { short: "H" }),
  "log-level": flag.string("Level of messages: debug, info, warn, error or fatal", { short: "l", default: "info" }),
  tls: flag.bool("Use TLS, without checking who answers"),
  tlscacert: flag.string("Trust certificates signed by this authority only"),
  tlscert: flag.string("Certificate of this client"),
  tlskey: flag.string("Key of this client's certificate"),
  tlsverify: flag.bool("Use TLS and check who answers"),
  version: flag.bool("Print the version and leave", { short: "v" }),
} as const;

export type GlobalFlags = FlagValues<typeof GLOBAL_FLAGS>;
