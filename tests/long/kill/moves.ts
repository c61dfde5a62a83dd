import type { Random } from "@slipway/testkit";
import { BASE } from "../../e2e/harness.ts";
import type { Api } from "../api.ts";

/** Few names, so that moves meet each other; none is the beginning of an ID. */
const CONTAINERS = Array.from({ length: 10 }, (_, n) => `k${n}`);
const NETWORKS = ["net0", "net1", "net2"];
const VOLUMES = ["vol0", "vol1", "vol2", "vol3"];
const IMAGES = ["kill/a", "kill/b"];
/** Milliseconds for any answer: nothing here may take longer than a stop and a kill. */
const PATIENCE = 30_000;
const FIRST_PORT = 24_000;
const PORTS = 6;
/** Containers of the proof's own, which no move touches. */
export const SPARED = "slipway.spared";

/** What the moves know for sure of what they have made. */
export class Memory {
  readonly kept = new Set<string>();
  /** Somebody has asked for their removal, perhaps before their maker heard of their creation. */
  readonly doomed = new Set<string>();
  readonly seen = new Set<string>();
  /** Something was asked and never answered. */
  unanswered = false;
  /** Answers of 500 and above, by their words, and how often. */
  readonly failures = new Map<string, number>();
}

type Move = (player: Player) => Promise<unknown>;

/** One who asks the engine for one random thing after another, and does not mind refusals. */
export class Player {
  readonly #api: Api;
  readonly #random: Random;
  readonly #memory: Memory;

  constructor(api: Api, random: Random, memory: Memory) {
    this.#api = api;
    this.#random = random;
    this.#memory = memory;
  }

  async play(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#random.pick(MOVES)(this);
      } catch (error) {
        if ((error as Error).name === "TimeoutError") this.#memory.unanswered = true;
        // The engine died while it was asked.
        await Bun.sleep(2);
      }
    }
  }

  get container(): string {
    return this.#random.pick(CONTAINERS);
  }

  get network(): string {
    return this.#random.pick(NETWORKS);
  }

  get volume(): string {
    return this.#random.pick(VOLUMES);
  }

  get image(): string {
    return this.#random.pick(IMAGES);
  }

  once(times: number): boolean {
    return this.#random.chance(1 / times);
  }

  async ask(method: string, path: string, body?: unknown): Promise<Response> {
    const json = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await this.#api.fetch(method, path, { signal, ...(body === undefined ? {} : json) });
    const text = await response.clone().text();
    if (response.status >= 500) {
      const words = `${method} ${path.replace(/\?.*/, "")}: ${text.replace(/[0-9a-f]{64}/g, "ID").trim()}`;
      this.#memory.failures.set(words, (this.#memory.failures.get(words) ?? 0) + 1);
    }
    return response;
  }

  async send(path: string, content: Uint8Array): Promise<void> {
    await this.#api.fetch("PUT", path, { body: content });
  }

  async create(): Promise<void> {
    const automatic = this.once(6);
    const config = {
      ...{ Image: this.once(5) ? this.image : BASE, ExposedPorts: { "80/tcp": {} }, StopTimeout: 1 },
      ...this.#life(automatic),
    };
    const response = await this.ask("POST", `/containers/create?name=${this.container}`, config);
    if (response.status !== 201) return;
    const { Id } = (await response.json()) as { Id: string };
    this.#memory.seen.add(Id);
    if (!automatic && !this.#memory.doomed.has(Id)) this.#memory.kept.add(Id);
  }

  /** What it runs, and whether it is started again: one that ends at once would never settle. */
  #life(automatic: boolean): object {
    const random = this.#random;
    const again = !automatic && random.chance(1 / 4);
    const policy = again ? { RestartPolicy: { Name: random.pick(["always", "on-failure", "unless-stopped"]) } } : {};
    return {
      Cmd: ["sh", "-c", random.pick(again ? LASTING : [...LASTING, ...SHORT])],
      HostConfig: { ...this.#hostConfig(automatic), ...policy },
    };
  }

  #hostConfig(automatic: boolean): object {
    const random = this.#random;
    const mode = random.pick(["bridge", "bridge", "none", "host", ...NETWORKS]);
    const port = String(FIRST_PORT + random.below(PORTS));
    return {
      NetworkMode: mode,
      ...(automatic ? { AutoRemove: true } : {}),
      ...(random.chance(1 / 2) ? { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: port }] } } : {}),
      ...(random.chance(1 / 2)
        ? { Binds: [`${this.volume}:/data`, ...(random.chance(1 / 3) ? ["/anonymous"] : [])] }
        : {}),
    };
  }

  /** Whoever asks for a removal no longer knows whether it is there. */
  async forgetting(container: string, work: () => Promise<unknown>): Promise<void> {
    const response = await this.#api.fetch("GET", `/containers/${container}/json`);
    if (response.status !== 200) return;
    const { Id, Config } = (await response.json()) as { Id: string; Config: { Labels: Record<string, string> | null } };
    if (Config.Labels?.[SPARED] !== undefined) return;
    this.#memory.doomed.add(Id);
    this.#memory.kept.delete(Id);
    await work();
  }

  /** What is pruned is whatever does not run. */
  async prune(): Promise<void> {
    const before = new Set(this.#memory.seen);
    this.#memory.kept.clear();
    await this.ask("POST", "/containers/prune");
    for (const id of this.#memory.seen) if (!before.has(id)) this.#memory.kept.delete(id);
  }
}

const LASTING = [
  "exec sleep 1000",
  "trap 'exit 0' TERM; while :; do sleep 0.1; done",
  "while :; do hostname | nc -l -p 80; done",
];
const SHORT = ["echo done", "sleep 0.2; exit 3"];

/** A tar of one file, made by hand: the proof must not rest on what it proves. */
function smallArchive(): Uint8Array {
  const block = Buffer.alloc(2560);
  block.write("copied", 0);
  block.write("0000644\x000000000\x000000000\x0000000000003\x0000000000000\0", 100, "latin1");
  block.write("        0", 148, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  block.write("abc", 512);
  return block;
}

const post =
  (action: string): Move =>
  (player) =>
    player.ask("POST", `/containers/${player.container}/${action}`);

const MOVES: readonly Move[] = [
  ...Array.from({ length: 5 }, (): Move => (player) => player.create()),
  ...Array.from({ length: 8 }, () => post("start")),
  ...Array.from({ length: 2 }, () => post("stop")),
  ...[post("kill"), post("restart"), post("pause"), post("unpause"), post("unpause")],
  (player) => player.ask("POST", `/containers/${player.container}/rename?name=${player.container}`),
  (player) =>
    player.ask("POST", `/containers/${player.container}/update`, { Memory: 64 * 1024 * 1024, MemorySwap: -1 }),
  (player) => player.ask("GET", `/containers/${player.container}/logs?stdout=1`),
  (player) => player.ask("GET", `/containers/${player.container}/archive?path=/etc`),
  (player) => player.send(`/containers/${player.container}/archive?path=/`, smallArchive()),
  (player) => player.ask("POST", `/commit?container=${player.container}&repo=${player.image}`),
  (player) => player.ask("DELETE", `/images/${player.image}?force=1`),
  ...Array.from({ length: 2 }, (): Move => runInside),
  ...Array.from(
    { length: 3 },
    (): Move => (player) => {
      const { container } = player;
      const path = `/containers/${container}?force=${player.once(4) ? 0 : 1}&v=${player.once(2) ? 1 : 0}`;
      return player.forgetting(container, () => player.ask("DELETE", path));
    },
  ),
  (player) => {
    const options = player.once(2) ? { type: "tmpfs", device: "tmpfs", o: "size=1m" } : {};
    return player.ask("POST", "/volumes/create", { Name: player.volume, DriverOpts: options });
  },
  (player) => player.ask("DELETE", `/volumes/${player.volume}`),
  (player) => player.ask("POST", "/networks/create", { Name: player.network, CheckDuplicate: true }),
  (player) => player.ask("DELETE", `/networks/${player.network}`),
  ...Array.from(
    { length: 2 },
    (): Move => (player) => player.ask("POST", `/networks/${player.network}/connect`, { Container: player.container }),
  ),
  (player) => {
    const body = { Container: player.container, Force: player.once(2) };
    return player.ask("POST", `/networks/${player.network}/disconnect`, body);
  },
  async (player) => {
    if (!player.once(6)) return;
    await player.prune();
  },
];

async function runInside(player: Player): Promise<void> {
  const made = await player.ask("POST", `/containers/${player.container}/exec`, { Cmd: ["sleep", "0.1"] });
  if (made.status !== 201) return;
  const { Id } = (await made.json()) as { Id: string };
  await player.ask("POST", `/exec/${Id}/start`, { Detach: true });
}
