import { randomUUID } from "node:crypto";
import { errorMessage, type JsonReader, type Logger, SlipwayError } from "@slipway/base";
import type { RegistryEvent } from "../api/parts.ts";

export interface Webhook {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of what is told; all of it when empty. */
  readonly actions: readonly string[];
}

/** Who did it, for the one who is told. */
export interface Actor {
  readonly user?: string;
  readonly peer: string;
}

/** Events that wait for one receiver; when it does not take them the oldest are dropped. */
const QUEUE = 10_000;
const BATCH = 100;
const ATTEMPTS = 6;
const FIRST_WAIT_MS = 500;
const TIMEOUT_MS = 10_000;
const MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json";

/** Tells receivers what happened, in the form of Docker's registry ("Work with notifications"). Requests never wait for it. */
export class Webhooks {
  readonly #senders: readonly Sender[];
  readonly #host: string;

  constructor(hooks: readonly Webhook[], host: string, log: Logger) {
    this.#senders = hooks.map((hook) => new Sender(hook, log));
    this.#host = host;
  }

  get isEmpty(): boolean {
    return this.#senders.length === 0;
  }

  get dropped(): number {
    return this.#senders.reduce((sum, sender) => sum + sender.dropped, 0);
  }

  send(event: RegistryEvent, actor: Actor): void {
    if (this.isEmpty) return;
    const { action, name, ...target } = event;
    const message = {
      id: randomUUID(),
      timestamp: new Date().toISOString(),
      action,
      target: { ...target, repository: name, length: target.size },
      actor: actor.user === undefined ? {} : { name: actor.user },
      request: { addr: actor.peer, host: this.#host },
      source: { addr: this.#host },
    };
    for (const sender of this.#senders) sender.add(action, message);
  }

  /** Sends what waits, as long as `milliseconds` allow. */
  async flush(milliseconds: number): Promise<void> {
    const patience = new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());
    await Promise.race([Promise.all(this.#senders.map((sender) => sender.idle())), patience]);
    for (const sender of this.#senders) sender.stop();
  }
}

class Sender {
  readonly #hook: Webhook;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #queue: object[] = [];
  #sending: Promise<void> | undefined;
  dropped = 0;

  constructor(hook: Webhook, log: Logger) {
    this.#hook = hook;
    this.#log = log;
  }

  add(action: string, message: object): void {
    if (this.#hook.actions.length > 0 && !this.#hook.actions.includes(action)) return;
    if (this.#queue.length >= QUEUE) {
      this.#queue.shift();
      this.dropped++;
    }
    this.#queue.push(message);
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = undefined;
    });
  }

  async idle(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
  }

  stop(): void {
    this.#stop.abort();
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      const events = this.#queue.splice(0, BATCH);
      if (!(await this.#deliver(events))) this.dropped += events.length;
    }
  }

  async #deliver(events: readonly object[]): Promise<boolean> {
    const { url, headers } = this.#hook;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > 0) await Bun.sleep(FIRST_WAIT_MS * 2 ** (attempt - 1));
      if (this.#stop.signal.aborted) return false;
      try {
        const response = await fetch(url, {
          method: "POST",
          headers: { ...headers, "Content-Type": MEDIA_TYPE },
          body: JSON.stringify({ events }),
          redirect: "manual",
          signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)]),
        });
        await response.body?.cancel();
        if (response.ok) return true;
        this.#log.warn("a webhook refused events", { url: safe(url), status: response.status, attempt });
      } catch (error) {
        this.#log.warn("a webhook cannot be reached", { url: safe(url), error: errorMessage(error), attempt });
      }
    }
    return false;
  }
}

/** Without what may be a secret. */
function safe(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** Reads a webhook of the configuration file. Throws `invalid`. */
export function readWebhook(reader: JsonReader): Webhook {
  const url = reader.field("url").string();
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new SlipwayError("invalid", `webhooks: '${url}' is not an http or https address`);
  }
  return { url, headers: reader.field("headers").stringMap(), actions: reader.field("actions").strings() };
}
