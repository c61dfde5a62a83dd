import { errorMessage, SlipwayError, shortId } from "@slipway/base";
import { familiarReference, parseReference } from "@slipway/oci";
import type { Backends, BuildEvent, BuildResult } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { readBuildQuery } from "./build-request.ts";
import { LineStream } from "./line-stream.ts";

/** Builds as the classic builder's clients know them: a tar comes in, JSON lines go out. */
export function buildRoutes({ builds }: Backends): RouteTable {
  const running = new Map<string, AbortController>();
  return {
    "POST /build": (call) => build(call, builds, running),
    "POST /build/cancel": (call) => {
      const id = call.query.string("id");
      if (id === undefined) throw new SlipwayError("invalid", "build ID not provided");
      running.get(id)?.abort();
      return empty(200);
    },
    "POST /build/prune": async (call) => {
      const space = pruneSpace(call);
      const { removed, freedBytes } = await builds.prune({
        all: call.query.boolean("all"),
        filters: call.query.filters(),
        ...(space !== undefined && { space }),
      });
      return json(200, { CachesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: freedBytes });
    },
  };
}

/** `keep-storage` was the name of `reserved-space` before 1.48. */
function pruneSpace({ query }: Call): { reserved: number; maxUsed: number; minFree: number } | undefined {
  const reserved = query.integer("reserved-space") ?? query.integer("keep-storage");
  const maxUsed = query.integer("max-used-space");
  const minFree = query.integer("min-free-space");
  const given = [reserved, maxUsed, minFree];
  if (given.every((bytes) => bytes === undefined)) return undefined;
  if (given.some((bytes) => (bytes ?? 0) < 0)) throw new SlipwayError("invalid", "sizes of space cannot be negative");
  return { reserved: reserved ?? 0, maxUsed: maxUsed ?? 0, minFree: minFree ?? 0 };
}

async function build(call: Call, builds: Backends["builds"], running: Map<string, AbortController>): Promise<Reply> {
  const request = readBuildQuery(call);
  const quiet = call.query.boolean("q");
  const buildId = call.query.string("buildid");
  const cancel = new AbortController();
  if (buildId !== undefined) running.set(buildId, cancel);
  const lines = new LineStream();
  const narrator = new Narrator((text) => {
    if (!quiet) lines.offer({ stream: text }, () => ({ stream: "\n[output clipped: it is read too slowly]\n" }));
  });
  const work = async () => {
    try {
      const signal = AbortSignal.any([call.signal, cancel.signal]);
      const result = await builds.build(request, (event) => narrator.tell(event), signal);
      sendResult(lines, result, quiet);
    } catch (error) {
      // The classic sentence says less than ours, which shows the lines of the Dockerfile.
      if (!quiet && failedCommand(error) !== undefined) lines.send({ stream: `${errorMessage(error)}\n` });
      throw error;
    } finally {
      if (buildId !== undefined) running.delete(buildId);
    }
  };
  return await lines.reply(work, failureLine);
}

function sendResult(lines: LineStream, result: BuildResult, quiet: boolean): void {
  const { imageId, names } = result;
  if (imageId === undefined) return;
  lines.send({ aux: { ID: imageId } });
  if (quiet) {
    lines.send({ stream: `${imageId}\n` });
    return;
  }
  // docker-py and others read the ID from this very sentence.
  lines.send({ stream: `Successfully built ${shortId(imageId)}\n` });
  for (const name of names) lines.send({ stream: `Successfully tagged ${familiarReference(parseReference(name))}\n` });
}

function failureLine(error: unknown): Record<string, unknown> {
  const failed = failedCommand(error);
  const message = failed?.message ?? errorMessage(error);
  return { errorDetail: { ...(failed && { code: failed.exitCode }), message }, error: message };
}

/** A step that failed in the classic builder's words, which its clients look for. */
function failedCommand(error: unknown): { readonly exitCode: number; readonly message: string } | undefined {
  if (!(error instanceof SlipwayError)) return undefined;
  const { exitCode, command } = error.details;
  if (typeof exitCode !== "number" || typeof command !== "string") return undefined;
  return { exitCode, message: `The command '${command}' returned a non-zero code: ${exitCode}` };
}

/** Tells the events of a build in the classic builder's manner: a line for each step, then what it prints. */
class Narrator {
  readonly #say: (text: string) => void;
  readonly #names = new Map<string, string>();
  /** Each stream keeps characters that are not complete yet: chunks break anywhere. */
  readonly #decoders = new Map<string, TextDecoder>();
  #speaking: string | undefined;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  tell(event: BuildEvent): void {
    switch (event.type) {
      case "vertex":
        this.#tellStep(event);
        return;
      case "log":
        this.#tellOutput(event);
        return;
      case "warning":
        this.#say(`[Warning] ${event.message}\n`);
        return;
      case "status":
        return;
    }
  }

  #tellStep(event: Extract<BuildEvent, { type: "vertex" }>): void {
    this.#names.set(event.id, event.name);
    if (event.state === "running") this.#announce(event.id);
    if (event.state === "cached") {
      this.#announce(event.id);
      // A base that is there is no step that was saved.
      if (stepOf(event.name)?.startsWithBase !== true) this.#say(" ---> Using cache\n");
    }
  }

  #tellOutput(event: Extract<BuildEvent, { type: "log" }>): void {
    // Steps run side by side: say whose output follows when it changes.
    if (this.#speaking !== event.vertex) this.#announce(event.vertex);
    const key = `${event.vertex} ${event.stream}`;
    const decoder = this.#decoders.get(key) ?? new TextDecoder();
    this.#decoders.set(key, decoder);
    const text = decoder.decode(event.data, { stream: true });
    if (text !== "") this.#say(event.stream === "stderr" ? `\x1b[91m${text}\x1b[0m` : text);
  }

  #announce(id: string): void {
    this.#speaking = id;
    const name = this.#names.get(id) ?? id;
    this.#say(`${stepOf(name)?.line ?? ` ---> ${name}`}\n`);
  }
}

/** `[stage 2/4] RUN make` as the classic builder writes it; undefined for what no instruction asked for. */
function stepOf(name: string): { readonly line: string; readonly startsWithBase: boolean } | undefined {
  const match = /^\[(?:(\S+) +)?(\d+\/\d+)\] ([\s\S]*)$/.exec(name);
  if (match === null) return undefined;
  const [, stage, number, text = ""] = match;
  const where = stage === undefined ? "" : ` # ${stage}`;
  return { line: `Step ${number} : ${text}${where}`, startsWithBase: text.startsWith("FROM ") };
}
