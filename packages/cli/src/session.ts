import { type ConfigFile, configDirectory, readConfigFile, readContext } from "./client/config-file.ts";
import { EngineClient } from "./client/engine-client.ts";
import { DEFAULT_SOCKET, type Host, hostText, parseHost, SSH, type TlsFiles } from "./client/host.ts";
import { ExitError } from "./errors.ts";
import type { GlobalFlags } from "./global-flags.ts";
import type { Io } from "./io.ts";

/** What a command works with: streams, the engine, the user's settings. Everything is made when it is first asked for. */
export class Session {
  readonly io: Io;
  /** As typed: `slipway container ls`. */
  readonly commandPath: string;
  readonly #flags: GlobalFlags;
  #client: Promise<EngineClient> | undefined;
  #config: Promise<ConfigFile> | undefined;

  constructor(io: Io, commandPath: string, flags: GlobalFlags) {
    this.io = io;
    this.commandPath = commandPath;
    this.#flags = flags;
  }

  get debug(): boolean {
    return this.#flags.debug;
  }

  /** The same session, but that no engine is started because of it. */
  withoutStart(): Session {
    const { io } = this;
    const quiet: Io = {
      ...{ stdout: io.stdout, stderr: io.stderr, stdin: io.stdin },
      env: { ...io.env, SLIPWAY_NO_AUTOSTART: "1" },
      cwd: () => io.cwd(),
      onSignal: (signal, listener) => io.onSignal(signal, listener),
    };
    return new Session(quiet, this.commandPath, this.#flags);
  }

  client(): Promise<EngineClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  config(): Promise<ConfigFile> {
    this.#config ??= this.#readConfig();
    return this.#config;
  }

  /** A mistake in the file is told, and the command goes on without it, as Docker's client does. */
  async #readConfig(): Promise<ConfigFile> {
    const { config, problems } = await readConfigFile(this.configDirectory);
    for (const problem of problems) this.io.stderr.write(`WARNING: Error parsing config file: ${problem}\n`);
    return config;
  }

  /** Proxies for containers and builds, but for variables that are given. */
  async proxies(given: Iterable<string>): Promise<[name: string, value: string][]> {
    const config = await this.config();
    if (config.proxies === undefined) return [];
    const { proxyVariables } = await import("./client/proxies.ts");
    return proxyVariables(config, hostText((await this.client()).host), given);
  }

  get configDirectory(): string {
    return configDirectory(this.#flags.config, this.io.env);
  }

  /** `--host` as given; empty when it is not. */
  get hostFlag(): string {
    return this.#flags.host[0] ?? "";
  }

  /** The name of the context in use; `default` is none. */
  async contextName(): Promise<string> {
    if (this.#flags.host.length > 0) return "default";
    if (this.#flags.context !== "") return this.#flags.context;
    if (this.io.env.DOCKER_HOST) return "default";
    return this.io.env.DOCKER_CONTEXT || (await this.config()).currentContext || "default";
  }

  async #connect(): Promise<EngineClient> {
    const { host, startable } = await this.#host();
    const { env } = this.io;
    const headers = await this.#headers();
    return new EngineClient({
      host,
      ...(env.DOCKER_API_VERSION ? { apiVersion: apiVersion(env.DOCKER_API_VERSION) } : {}),
      headers,
      ...(startable ? { startEngine: () => startEngine(env) } : {}),
    });
  }

  async #headers(): Promise<Readonly<Record<string, string>>> {
    const { HttpHeaders } = await this.config();
    const { env } = this.io;
    if (HttpHeaders === undefined && !env.DOCKER_CUSTOM_HEADERS) return {};
    return (await import("./client/headers.ts")).customHeaders(HttpHeaders, env);
  }

  async #host(): Promise<{ host: Host; startable: boolean }> {
    const [flag, second] = this.#flags.host;
    if (second !== undefined) throw new ExitError(1, "specify only one -H");
    if (flag !== undefined && this.#flags.context !== "") {
      throw new ExitError(1, "conflicting options: cannot specify both --host and --context");
    }
    const name = await this.contextName();
    if (name !== "default") {
      const endpoint = await readContext(this.configDirectory, name);
      return { host: await reach(endpoint.host, endpoint.tls), startable: false };
    }
    const text = flag ?? this.io.env.DOCKER_HOST;
    if (!text) return { host: { kind: "unix", path: DEFAULT_SOCKET }, startable: true };
    const host = await reach(text, this.#tls());
    return { host, startable: host.kind === "unix" && host.path === DEFAULT_SOCKET };
  }

  #tls(): TlsFiles | undefined {
    const { env } = this.io;
    const flags = this.#flags;
    const verify = flags.tlsverify || Boolean(env.DOCKER_TLS_VERIFY);
    if (!verify && !flags.tls && !env.DOCKER_TLS) return undefined;
    const folder = env.DOCKER_CERT_PATH || this.configDirectory;
    return {
      ca: flags.tlscacert || `${folder}/ca.pem`,
      cert: flags.tlscert || `${folder}/cert.pem`,
      key: flags.tlskey || `${folder}/key.pem`,
      verify,
    };
  }
}

/** Of `DOCKER_API_VERSION`. */
function apiVersion(text: string): string {
  const version = text.replace(/^v/, "");
  if (/^\d+\.\d+$/.test(version)) return version;
  throw new ExitError(1, `DOCKER_API_VERSION: '${text}' is no version of the API`, "Write it as 1.44, or unset it.");
}

/** The host that a text names; one by ssh is brought here first. */
async function reach(text: string, tls: TlsFiles | undefined): Promise<Host> {
  if (!text.startsWith(SSH)) return parseHost(text, tls);
  const { openSshTunnel } = await import("./client/ssh-tunnel.ts");
  const tunnel = await openSshTunnel(text);
  return { kind: "unix", path: tunnel.path, tunnel };
}

/** Starts the engine of this machine in the background and waits until it answers. */
async function startEngine(env: Io["env"]): Promise<boolean> {
  if (env.SLIPWAY_NO_AUTOSTART || process.geteuid?.() !== 0) return false;
  const { startDetachedDaemon } = await import("@slipway/daemon");
  await startDetachedDaemon();
  return true;
}
