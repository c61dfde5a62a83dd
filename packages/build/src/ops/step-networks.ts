import { randomId } from "@slipway/base";
import { hostResolver, hostsFile, type Networks, resolvConf, type Sandbox } from "@slipway/network";
import type { Namespace } from "@slipway/runtime";
import type { StepNetworkMode } from "../faces.ts";

export interface StepNetwork {
  readonly namespace: Namespace;
  /** Contents of the step's `/etc/hosts` and `/etc/resolv.conf`. */
  readonly hosts: string;
  readonly resolver: string;
  release(): void;
}

export interface StepNetworkRequest {
  readonly mode: StepNetworkMode;
  readonly hostname: string;
  readonly extraHosts: readonly string[];
}

interface Idle {
  readonly id: string;
  readonly sandbox: Sandbox;
  readonly timer: NodeJS.Timeout;
}

/** How long a namespace waits for the next step, milliseconds. */
const IDLE = 15_000;

/**
 * Network namespaces for steps. One step at a time is in each, and none can change it (that takes CAP_NET_ADMIN), so the
 * next step takes over the namespace of the last instead of waiting for a new one.
 */
export class StepNetworks {
  readonly #networks: Networks | undefined;
  readonly #idle: { default: Idle[]; none: Idle[] } = { default: [], none: [] };

  /** Without networks, steps have none but the host's. */
  constructor(networks: Networks | undefined) {
    this.#networks = networks;
  }

  async take(request: StepNetworkRequest, signal: AbortSignal): Promise<StepNetwork> {
    const { mode, hostname, extraHosts } = request;
    const networks = this.#networks;
    if (mode === "host" || (mode === "default" && networks === undefined)) {
      const resolver = resolvConf({ mode: "host", host: hostResolver() });
      return {
        namespace: "host",
        hosts: hostsFile({ hostname, addresses: ["127.0.0.1"], extraHosts }),
        resolver,
        release() {},
      };
    }
    if (networks === undefined) {
      return {
        namespace: "private",
        hosts: hostsFile({ hostname, addresses: ["127.0.0.1"], extraHosts }),
        resolver: "",
        release() {},
      };
    }
    if (mode !== "default" && mode !== "none") {
      const { id, sandbox } = await make(networks, mode, signal);
      return insideOf(sandbox, request, () => void networks.release(id).catch(() => {}));
    }
    const { id, sandbox } = this.#reuse(mode) ?? (await make(networks, mode, signal));
    return insideOf(sandbox, request, () => this.#giveBack(mode, id, sandbox));
  }

  async close(): Promise<void> {
    const idle = [...this.#idle.default.splice(0), ...this.#idle.none.splice(0)];
    for (const { timer } of idle) clearTimeout(timer);
    await Promise.all(idle.map(({ id }) => this.#networks?.release(id)));
  }

  #reuse(mode: "default" | "none"): Idle | undefined {
    const idle = this.#idle[mode].pop();
    if (idle !== undefined) clearTimeout(idle.timer);
    return idle;
  }

  #giveBack(mode: "default" | "none", id: string, sandbox: Sandbox): void {
    const timer = setTimeout(() => {
      const list = this.#idle[mode];
      list.splice(
        list.findIndex((idle) => idle.id === id),
        1,
      );
      // What fails here is found and removed by the next reconciliation.
      this.#networks?.release(id).catch(() => {});
    }, IDLE);
    timer.unref();
    this.#idle[mode].push({ id, sandbox, timer });
  }
}

function insideOf(
  sandbox: Sandbox,
  { mode, hostname, extraHosts }: StepNetworkRequest,
  release: () => void,
): StepNetwork {
  const [endpoint] = sandbox.endpoints;
  const addresses = endpoint === undefined ? ["127.0.0.1"] : [endpoint.address];
  const resolverMode = mode === "none" ? "none" : sandbox.nameserver === undefined ? "bridge" : "resolver";
  return {
    namespace: { path: sandbox.namespacePath },
    hosts: hostsFile({ hostname, addresses, extraHosts, ...(endpoint && { gateway: endpoint.gateway }) }),
    resolver: resolvConf({ mode: resolverMode, host: hostResolver() }),
    release,
  };
}

async function make(
  networks: Networks,
  mode: Exclude<StepNetworkMode, "host">,
  signal: AbortSignal,
): Promise<{ readonly id: string; readonly sandbox: Sandbox }> {
  const id = randomId();
  const sandbox =
    mode === "none"
      ? await networks.isolate(id)
      : await networks.connect({ containerId: id, network: networkName(mode), ports: [] }, signal);
  return { id, sandbox };
}

function networkName(mode: Exclude<StepNetworkMode, "host" | "none">): string {
  return mode === "default" ? "bridge" : mode.slice("network:".length);
}
