import { setTimeout } from "node:timers/promises";
import { errnoOf, errorCode, errorMessage, isError, SlipwayError } from "@slipway/base";
import { type FileOperation, operationDigest, reachable, type Vertex } from "./graph.ts";
import { type CopyInputs, hasOnlyFiles, readCopyInputs, treesOf } from "./ops/copy-inputs.ts";
import { type EarlyLayer, makeEarlyLayer } from "./ops/early-layer.ts";
import { prepareExec } from "./ops/exec-op.ts";
import { prepareFile } from "./ops/file-op.ts";
import { placed } from "./plan/errors.ts";
import { type Result, type RootResult, rootOf } from "./result.ts";
import type { BuildSession } from "./session.ts";
import type { Operators, Work } from "./solver.ts";
import { fetchKey } from "./sources/base-images.ts";
import { authorizationFor } from "./sources/http-secrets.ts";

/** Milliseconds after which a step that is not there yet is taken to be running. */
const AHEAD = 10;

/** How the operations of one build become results. */
export class BuildOperators implements Operators<Result>, AsyncDisposable {
  readonly #session: BuildSession;
  /** What copies read, found out while the steps below them still run. */
  readonly #early = new Map<string, Promise<CopyInputs | undefined>>();
  readonly #earlyLayers = new Map<string, Promise<EarlyLayer | undefined>>();
  /** Ends work that was begun ahead when nobody waits for it any more. */
  readonly #ahead = new AbortController();
  /** Of vertices that others need, as they come. */
  readonly #results = new Map<string, Promise<Result>>();

  /** Vertices whose files another needs in place, by ID. */
  readonly #mounted: ReadonlySet<string>;

  constructor(session: BuildSession, root: Vertex) {
    this.#session = session;
    this.#mounted = mountedVertices(root);
  }

  begin(vertex: Vertex, inputs: readonly Promise<Result>[], signal: AbortSignal): void {
    for (const [index, input] of vertex.inputs.entries()) this.#results.set(input.id, inputs[index] as Promise<Result>);
    const { id, operation } = vertex;
    if (operation.type !== "file" || operation.action.kind !== "copy") return;
    const { action } = operation;
    const reading = Promise.all(inputs.slice(1)).then(async (results) => {
      if (!hasOnlyFiles(results)) return undefined;
      return readCopyInputs(action, await treesOf(this.#session, results, signal), signal);
    });
    // It is awaited, and its failure told, when the vertex is prepared.
    reading.catch(() => {});
    this.#early.set(id, reading);
    const making = this.#makeEarly(
      vertex,
      { operation, reading, root: inputs[0] as Promise<Result> },
      AbortSignal.any([signal, this.#ahead.signal]),
    );
    this.#earlyLayers.set(
      id,
      making.catch(() => undefined),
    );
  }

  /** Nothing runs any more when this is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ahead.abort();
    await Promise.allSettled([...this.#early.values(), ...this.#earlyLayers.values()]);
  }

  /** Makes a copy's layer while RUN steps below it still run. */
  async #makeEarly(
    vertex: Vertex,
    copy: {
      readonly operation: FileOperation;
      readonly reading: Promise<CopyInputs | undefined>;
      readonly root: Promise<Result>;
    },
    signal: AbortSignal,
  ): Promise<EarlyLayer | undefined> {
    const below = rootBelowStep(vertex);
    if (below === undefined || copy.operation.action.kind !== "copy" || copy.operation.action.unpack) return undefined;
    let ready = false;
    copy.root.then(
      () => (ready = true),
      () => (ready = true),
    );
    const [copied, expected] = await Promise.all([copy.reading, this.#results.get(below.id)]);
    // Steps from the cache are there at once: then there is nothing to be ahead of.
    await setTimeout(AHEAD, undefined, { signal, ref: false });
    if (ready || copied === undefined || expected?.kind !== "root" || signal.aborted) return undefined;
    const form = this.#mounted.has(vertex.id) ? "tree" : "tar";
    const { operation } = copy;
    return makeEarlyLayer({ session: this.#session, vertex, operation, copied, expected, form }, signal);
  }

  async prepare(vertex: Vertex, inputs: readonly Result[], signal: AbortSignal): Promise<Work<Result>> {
    const { operation } = vertex;
    const session = this.#session;
    switch (operation.type) {
      case "source":
        return this.#source(vertex, signal);
      case "exec":
        return prepareExec({ session, vertex, operation, root: rootOf(inputs[0]), inputs: inputs.slice(1) }, signal);
      case "file": {
        const early = await this.#early.get(vertex.id);
        const form = this.#mounted.has(vertex.id) ? "tree" : "tar";
        return prepareFile(
          {
            session,
            vertex,
            operation,
            root: rootOf(inputs[0]),
            inputs: inputs.slice(1),
            early,
            form,
            earlyLayer: this.#earlyLayers.get(vertex.id),
          },
          signal,
        );
      }
      case "merge":
        return { found: this.#merge(vertex, rootOf(inputs[0]), rootOf(inputs[1])) };
    }
  }

  /** Places and excerpts for failures; what an error says already is kept. */
  failure({ id, about }: Vertex, cause: unknown): unknown {
    const { dockerfile } = this.#session;
    const error = described(cause);
    if (about.source?.file !== dockerfile.file || !isError(error) || error.code === "cancelled") return error;
    const { code, message, hint, details } = error;
    const options = { details: { ...details, vertex: id }, cause, ...(hint !== undefined && { hint }) };
    return placed(dockerfile, about.source, new SlipwayError(code, message, options));
  }

  hidden({ operation }: Vertex): boolean {
    return operation.type === "merge" || (operation.type === "source" && operation.kind === "scratch");
  }

  async #source(vertex: Vertex, signal: AbortSignal): Promise<Work<Result>> {
    const { operation } = vertex;
    if (operation.type !== "source") throw new Error("not a source");
    const step = vertex.about.text;
    switch (operation.kind) {
      case "scratch":
        return { found: { kind: "root", layer: false, createdAt: 0, step } };
      case "image": {
        const { chainId, name, id } = operation;
        const image = { name, id };
        const base = { layer: false, createdAt: 0, step, image, ...(chainId !== undefined && { chainId }) };
        const found: Result = { kind: "root", ...base };
        const fetch = this.#session.bases.fetcher(name, vertex.id, this.#session.onEvent);
        if (fetch === undefined) return { found };
        // Of one platform and one user, as far as builds go: the image's ID says what it is.
        return { key: fetchKey(name, id), run: async (own) => fetch(own).then(() => found) };
      }
      case "local": {
        const open = this.#session.contexts.get(operation.context);
        if (open === undefined) throw new SlipwayError("invalid", `there is no build context '${operation.context}'`);
        const run = async (): Promise<Result> => ({ kind: "files", tree: await open(), step });
        return { run };
      }
      case "http": {
        const { downloads } = this.#session.services;
        const authorization = authorizationFor(operation.url, this.#session.secrets);
        const run = async (own: AbortSignal): Promise<Result> => ({
          kind: "files",
          tree: await downloads.fetch({ ...operation, ...(authorization !== undefined && { authorization }) }, own),
          step,
        });
        // What one build may fetch with its secrets is not for another that runs at the same time.
        const own = authorization === undefined ? "" : ` ${this.#session.lease.id}`;
        return { key: `http ${operationDigest(operation)}${own}`, run };
      }
      case "git": {
        signal.throwIfAborted();
        const { gitCheckouts } = this.#session.services;
        const run = async (own: AbortSignal): Promise<Result> => ({
          kind: "files",
          tree: await gitCheckouts.tree(operation, own),
          step,
        });
        return { key: `git ${operationDigest(operation)}`, run };
      }
    }
  }

  /** The layers of `top` above `root`. */
  #merge(vertex: Vertex, root: RootResult, top: RootResult): RootResult {
    const { about } = vertex;
    const { store } = this.#session.services;
    let chainId = root.chainId;
    const layers = top.chainId === undefined ? [] : store.layers.stack(top.chainId);
    for (const layer of layers) {
      const stacked = store.layers.restack(chainId, layer.chainId, this.#session.lease);
      if (stacked === undefined) throw new SlipwayError("internal", `${about.name}: a linked layer depends on another`);
      chainId = stacked.chainId;
    }
    return {
      kind: "root",
      layer: layers.length > 0,
      createdAt: top.createdAt,
      step: top.step,
      vertex,
      below: root,
      ...(chainId !== undefined && { chainId }),
    };
  }
}

/** All that an exec stands on or mounts, and all that a copy reads from: their layers are needed as trees. */
function mountedVertices(root: Vertex): ReadonlySet<string> {
  const mounted = new Set<string>();
  for (const { operation, inputs } of reachable([root]).reverse()) {
    for (const [index, input] of inputs.entries()) {
      if (operation.type === "exec" || index > 0 || mounted.has(input.id)) mark(input, mounted);
    }
  }
  return mounted;
}

function mark(vertex: Vertex, mounted: Set<string>): void {
  for (let at: Vertex | undefined = vertex; at !== undefined && !mounted.has(at.id); at = at.inputs[0])
    mounted.add(at.id);
}

/** System errors in words: a full disk is nothing that a stack would explain. */
function described(cause: unknown): unknown {
  if (isError(cause) || errnoOf(cause) === undefined) return cause;
  if (errorCode(cause) !== "exhausted") return new SlipwayError("internal", errorMessage(cause), { cause });
  return new SlipwayError("exhausted", "no space is left where the engine keeps its data", {
    cause,
    hint: "Make room: slipway system trash empty, slipway system prune --no-trash, or another --data-root.",
  });
}

/** What the nearest step that runs below a copy stands on; undefined when no step is below it. */
function rootBelowStep(vertex: Vertex): Vertex | undefined {
  for (let at = vertex.inputs[0]; at !== undefined; at = at.inputs[0]) {
    if (at.operation.type === "exec") return at.inputs[0];
  }
  return undefined;
}
