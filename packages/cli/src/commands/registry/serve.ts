import { readFileSync } from "node:fs";
import type { AuthOptions, RegistryServer } from "@slipway/registry";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Session } from "../../session.ts";
import { listenAddress } from "./listen-address.ts";
import { STORAGE } from "./storage-flag.ts";

/** How often certificates are looked at, in milliseconds: they are renewed by others. */
const TLS_LOOK_MS = 10_000;

export const serve = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    "access-log": flag.bool("Write one line of JSON for each request to the standard output"),
    "allow-unauthenticated": flag.bool("Let everybody who can reach it push and delete"),
    "collect-every": flag.duration("Time between two collections of what nothing refers to; 0 for none", {
      default: 3600e9,
    }),
    config: flag.string("File with retention rules, quotas, webhooks and upstream registries", { default: "" }),
    grace: flag.duration("How long what nothing refers to is kept", { default: 24 * 3600e9 }),
    htpasswd: flag.string("File of users, as htpasswd -B writes it", { default: "" }),
    listen: flag.string("Address to listen at", { default: "127.0.0.1:5000", type: "host:port" }),
    "metrics-listen": flag.string("Address for metrics and health alone, without authentication", {
      default: "",
      type: "host:port",
    }),
    "max-uploads": flag.int("Uploads that may be open at once", { default: 10_000 }),
    "shutdown-timeout": flag.duration("How long requests under way may take at the end", { default: 30e9 }),
    storage: STORAGE,
    "tls-cert": flag.string("File of the certificate chain; read again when it changes", { default: "" }),
    "tls-key": flag.string("File of the certificate's key", { default: "" }),
    "token-auth": flag.bool("Users with rights, kept in the storage (slipway registry user), and a token service"),
    "token-realm": flag.string("Address of the token service as clients reach it, behind a proxy", { default: "" }),
  },
  examples: [
    ["slipway registry serve", "A registry at localhost:5000, for this machine"],
    [
      "slipway registry serve --listen :5000 --token-auth --tls-cert cert.pem --tls-key key.pem",
      "One for others, with users and rights",
    ],
    [
      "slipway registry serve --storage 's3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1'",
      "One of any number of replicas over a bucket",
    ],
  ],
  async run({ flags, session }) {
    const { checkListenPolicy, openRegistryStorage, readRegistryRules, RegistryServer } = await import(
      "@slipway/registry"
    );
    const { createLogger, SlipwayError } = await import("@slipway/base");
    const { stdout, stderr } = session.io;
    const lines = (output: typeof stdout) => (line: string) => {
      output.write(`${line}\n`);
      // Lines that are written meanwhile go with it.
      void output.flush();
    };
    const log = createLogger({ level: "info", format: "text", write: lines(stderr) });
    const address = listenAddress(flags.listen);
    if (flags.htpasswd !== "" && flags["token-auth"]) {
      throw new SlipwayError("invalid", "--htpasswd and --token-auth exclude each other");
    }
    const auth = authOf(flags.htpasswd, flags["token-auth"], flags["token-realm"]);
    const tls = tlsFiles(flags["tls-cert"], flags["tls-key"]);
    checkListenPolicy({ ...address, hasAuth: auth !== undefined, allowOpen: flags["allow-unauthenticated"] });
    const rules = flags.config === "" ? {} : readRegistryRules(flags.config);
    const storage = await openRegistryStorage(flags.storage, { exclusive: true });
    const server = await RegistryServer.start(
      {
        storage,
        log,
        rules,
        limits: { grace: flags.grace / 1e6, uploads: flags["max-uploads"] },
        ...(auth && { auth }),
        ...(flags["access-log"] && { access: lines(stdout) }),
        ...(flags["collect-every"] > 0 && { collectEvery: flags["collect-every"] / 1e6 }),
      },
      {
        ...address,
        ...(tls && { tls: tls.read() }),
        ...(flags["metrics-listen"] !== "" && { operations: listenAddress(flags["metrics-listen"]) }),
      },
    );
    log.info("registry is ready", { address: `${address.hostname}:${server.port}`, storage: flags.storage });
    const watch = tls && setInterval(() => reloadIfChanged(tls, server, log.warn), TLS_LOOK_MS);
    await ended(session, () => tls && reloadIfChanged(tls, server, log.warn));
    clearInterval(watch);
    log.info("registry ends when its requests are answered");
    await server.stop(flags["shutdown-timeout"] / 1e6);
    return 0;
  },
});

function authOf(htpasswd: string, token: boolean, realm: string): AuthOptions | undefined {
  if (htpasswd !== "") return { kind: "htpasswd", file: htpasswd };
  return token ? { kind: "token", ...(realm !== "" && { realm }) } : undefined;
}

interface TlsFiles {
  read(): { cert: string; key: string };
  /** What was read last, to tell changes. */
  last: string;
}

function tlsFiles(cert: string, key: string): TlsFiles | undefined {
  if (cert === "" && key === "") return undefined;
  const files: TlsFiles = {
    last: "",
    read() {
      const pair = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
      files.last = pair.cert + pair.key;
      return pair;
    },
  };
  return files;
}

/** A pair that is being written, or does not fit, leaves the old one in place. */
function reloadIfChanged(files: TlsFiles, server: RegistryServer, warn: (message: string) => void): void {
  const before = files.last;
  try {
    const pair = files.read();
    if (files.last !== before) server.reload(pair);
  } catch (error) {
    warn(`the certificate cannot be read again: ${(error as Error).message}`);
  }
}

async function ended(session: Session, reload: () => void): Promise<void> {
  const { io } = session;
  const offHangup = io.onSignal("SIGHUP", reload);
  await new Promise<void>((resolve) => {
    io.onSignal("SIGTERM", resolve);
    io.onSignal("SIGINT", resolve);
  });
  offHangup();
}
