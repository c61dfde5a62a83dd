import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Logger, Scope, SlipwayError, silentLogger } from "@slipway/base";
import type { Dockerfile, IgnoreMatcher, Warning } from "@slipway/dockerfile";
import type { Networks } from "@slipway/network";
import { digestOf, formatReference, type ImageId } from "@slipway/oci";
import { removeSteps } from "@slipway/runtime";
import type { Image, Root, Store } from "@slipway/store";
import { unmountBelow } from "@slipway/sys";
import { BuildCache } from "./cache.ts";
import { Contexts, checkDirectory } from "./contexts.ts";
import type { BuildEvent, Builder, BuildRequest, BuildResult, CacheRecord } from "./faces.ts";
import { Flights } from "./flights.ts";
import { reachable } from "./graph.ts";
import { loadDockerfile } from "./load-dockerfile.ts";
import { type NamedContextSource, parseNamedContexts } from "./named-contexts.ts";
import { BuildOperators } from "./operators.ts";
import { CacheMounts } from "./ops/cache-mounts.ts";
import { StepNetworks } from "./ops/step-networks.ts";
import { parseTags, putImage } from "./outputs/image.ts";
import { rootTar } from "./outputs/root-tar.ts";
import { plan } from "./plan/plan.ts";
import { MAIN_CONTEXT, type Plan, type PlanRequest } from "./plan/plan-request.ts";
import { BUILDER_ARGS, PROXY_ARGS } from "./plan/variables.ts";
import {
  CACHE_OWNER,
  type CachePrunePlan,
  type PruneOptions,
  type PruneReport,
  planCachePrune,
  pruneCache,
} from "./prune.ts";
import { type Result, rootOf } from "./result.ts";
import type { BuildServices, BuildSession } from "./session.ts";
import { solve } from "./solver.ts";
import { BaseImages, type RemoteImages } from "./sources/base-images.ts";
import { Downloads } from "./sources/downloads.ts";
import type { FileTree } from "./sources/file-tree.ts";
import { GitCheckouts } from "./sources/git.ts";
import { HashPool } from "./sources/hash-pool.ts";
import { readIgnoreRules } from "./sources/ignore-rules.ts";
import { cacheUsage } from "./usage.ts";

export interface BuilderOptions {
  /** Opened with `BUILD_MIGRATIONS` among its migrations. */
  readonly store: Store;
  /** Absent: steps with a network use the host's. */
  readonly networks?: Networks;
  /** Absent: only images of the store can be built from. */
  readonly remoteImages?: RemoteImages;
  readonly paths: {
    /** The data root's `build` directory. */
    readonly build: string;
    /** For what lives no longer than a step; best on a tmpfs. */
    readonly execRoot: string;
  };
  readonly log?: Logger;
}

/** A builder that ends: `close` gives back what it holds of the machine. */
export interface OwnedBuilder extends Builder {
  /** What `prune` would remove if the images in `gone` were gone already. */
  planPrune(options: PruneOptions & { readonly gone: ReadonlySet<ImageId> }): CachePrunePlan;
  close(): Promise<void>;
}

/** Makes a builder, and removes what the builds of a process before this one left. */
export async function createBuilder(options: BuilderOptions): Promise<OwnedBuilder> {
  const { store, paths } = options;
  const bundles = join(paths.execRoot, "build");
  mkdirSync(bundles, { recursive: true, mode: 0o700 });
  unmountBelow(bundles);
  await removeSteps(bundles);
  const hashes = new HashPool();
  const cache = new BuildCache(store.database);
  const git = new GitCheckouts(join(paths.build, "git"), hashes);
  const services: BuildServices = {
    store,
    cache,
    hashes,
    networks: new StepNetworks(options.networks),
    cacheMounts: new CacheMounts(store.database, join(paths.build, "cache")),
    downloads: new Downloads(store.database, join(paths.build, "downloads")),
    gitCheckouts: git,
    remoteImages: options.remoteImages,
    bundles,
    log: options.log ?? silentLogger,
  };
  const builder = new OpenBuilder(services, new Contexts(join(paths.build, "contexts"), { hashes, git }));
  store.addRoots(CACHE_OWNER, () => cache.roots());
  store.addRoots("running builds", () => builder.roots());
  return builder;
}

class OpenBuilder implements OwnedBuilder {
  readonly #services: BuildServices;
  readonly #contexts: Contexts;
  readonly #flights = new Flights<Result>();
  /** What running builds stand on: their base images may lose their names meanwhile. */
  readonly #running = new Set<Plan>();

  constructor(services: BuildServices, contexts: Contexts) {
    this.#services = services;
    this.#contexts = contexts;
  }

  async build(request: BuildRequest, onEvent: (event: BuildEvent) => void, signal?: AbortSignal): Promise<BuildResult> {
    signal?.throwIfAborted();
    const names = parseTags(request.tags);
    await using scope = new Scope();
    const build = await this.#begin(request, { onEvent, scope, signal: signal ?? new AbortController().signal });
    const { root, results } = await solve(build.plan.root, {
      operators: scope.use(new BuildOperators(build.session, build.plan.root)),
      flights: this.#flights,
      onEvent,
      ...(signal !== undefined && { signal }),
    });
    this.#services.cache.noteUse(build.session.uses);
    return this.#output(request, { ...build, root, results, names, onEvent });
  }

  *roots(): Generator<Root> {
    for (const { root } of this.#running) {
      for (const { operation } of reachable([root])) {
        if (operation.type !== "source" || operation.kind !== "image" || operation.chainId === undefined) continue;
        yield { kind: "layer", chainId: operation.chainId, reason: `a running build from ${operation.name}` };
      }
    }
  }

  usage(): Promise<CacheRecord[]> {
    return Promise.resolve(cacheUsage(this.#services));
  }

  planPrune(options: PruneOptions & { readonly gone: ReadonlySet<ImageId> }): CachePrunePlan {
    return planCachePrune(this.#services, options);
  }

  prune(options: PruneOptions): Promise<PruneReport> {
    return pruneCache(this.#services, options);
  }

  async close(): Promise<void> {
    await this.#contexts.save();
    this.#services.hashes.close();
    await this.#services.networks.close();
  }

  async #begin(
    request: BuildRequest,
    work: BuildWork,
  ): Promise<{ readonly plan: Plan; readonly session: BuildSession }> {
    const { onEvent, scope } = work;
    const { store } = this.#services;
    const context = await this.#contexts.open(request.context, work.signal);
    scope.defer(() => context.dispose());
    scope.defer(() => void this.#saveLater());
    const { dockerfile, path } = loadDockerfile(context.root, request.dockerfile);
    const ignore = readIgnoreRules(context.root, path);
    const named = parseNamedContexts(request.namedContexts);
    const broken = new Set<string>();
    const onWarning = (warning: Warning) => {
      broken.add(warning.rule);
      onEvent(warningEvent(warning));
    };
    for (const warning of dockerfile.warnings) onWarning(warning);
    for (const message of unusedArgs(dockerfile, request.buildArgs)) onEvent({ type: "warning", message });
    const bases = new BaseImages({
      store,
      remote: this.#services.remoteImages,
      platform: request.platform,
      credentials: request.registryLogins ?? {},
      always: request.pull,
      signal: work.signal,
    });
    const { made, warnings } = await planWith(bases, { ...request, dockerfile, namedContexts: named });
    for (const warning of warnings) onWarning(warning);
    if (dockerfile.directives.check.error && broken.size > 0) throw lintError([...broken].sort());
    this.#running.add(made);
    scope.defer(() => void this.#running.delete(made));
    const lease = scope.use(store.leases.open(`build of ${context.identity}`));
    const pins: (() => void)[] = [];
    scope.defer(() => {
      for (const unpin of pins) unpin();
    });
    const roots = { main: { root: context.root, ignore }, named };
    const session: BuildSession = {
      services: this.#services,
      lease,
      scope: digestOf(
        JSON.stringify([context.identity, dockerfile.source.file, context.identity === "tar" ? request.tags : []]),
      ),
      dockerfile: dockerfile.source,
      bases,
      onEvent,
      contexts: this.#openers(made, roots, work.signal),
      secrets: request.secrets,
      ssh: request.ssh,
      proxyEnv: PROXY_ARGS.flatMap((name) => {
        const value = request.buildArgs[name];
        return value === undefined ? [] : [`${name}=${value}`];
      }),
      uses: [],
      pins,
    };
    return { plan: made, session };
  }

  #openers(
    made: Plan,
    roots: {
      readonly main: { root: string; ignore: IgnoreMatcher };
      readonly named: ReadonlyMap<string, NamedContextSource>;
    },
    signal: AbortSignal,
  ): ReadonlyMap<string, () => Promise<FileTree>> {
    const pathsOf = (name: string) => made.contextPaths.get(name) ?? new Set<string>();
    const { main, named } = roots;
    const openers = new Map<string, () => Promise<FileTree>>();
    openers.set(MAIN_CONTEXT, async () =>
      this.#contexts.scan(main.root, { ignore: main.ignore, paths: pathsOf(MAIN_CONTEXT) }),
    );
    for (const [name, context] of named) {
      if (context.kind === "image") continue;
      openers.set(name, async () => {
        const root =
          context.kind === "git"
            ? await this.#services.gitCheckouts.checkout({ url: context.url, keepGitDir: false }, signal)
            : checkDirectory(context.path ?? "");
        return this.#contexts.scan(root, { ignore: readIgnoreRules(root, undefined), paths: pathsOf(name) });
      });
    }
    return openers;
  }

  async #output(request: BuildRequest, build: FinishedBuild): Promise<BuildResult> {
    const { session, root, names, onEvent } = build;
    const { store } = this.#services;
    switch (request.output.type) {
      case "cacheonly":
        return { names: [] };
      case "local":
      case "tar": {
        const view = await store.layers.view(rootOf(root).chainId);
        return { names: [], stream: rootTar(view, build.plan.epoch === undefined ? {} : { epoch: build.plan.epoch }) };
      }
      case "oci":
      case "docker": {
        const image = await putImage(session, build);
        const shown = names.map(formatReference);
        const stream = await store.images.save(shown.length > 0 ? shown : [image.id], { format: request.output.type });
        return { ...resultOf(image), names: shown, stream };
      }
      case "image": {
        const startedAt = performance.timeOrigin + performance.now();
        const image = await putImage(session, build);
        const shown = names.map(formatReference);
        exportEvent(onEvent, { image, names: shown, startedAt });
        return { ...resultOf(image), names: shown };
      }
    }
  }

  /** What was learned about files is written when nobody waits for it. */
  #saveLater(): void {
    setTimeout(() => {
      this.#contexts
        .save()
        .catch((error: unknown) => this.#services.log.warn("cannot keep the stat cache", { error: String(error) }));
    }, 50).unref();
  }
}

interface BuildWork {
  readonly onEvent: (event: BuildEvent) => void;
  readonly scope: Scope;
  readonly signal: AbortSignal;
}

interface FinishedBuild {
  readonly plan: Plan;
  readonly session: BuildSession;
  readonly root: Result;
  readonly results: ReadonlyMap<string, Result>;
  readonly names: ReturnType<typeof parseTags>;
  readonly onEvent: (event: BuildEvent) => void;
}

/** Plans until no image is missing that a registry has. */
async function planWith(
  bases: BaseImages,
  request: Omit<PlanRequest, "findImage" | "onWarning">,
): Promise<{ readonly made: Plan; readonly warnings: readonly Warning[] }> {
  for (;;) {
    const warnings: Warning[] = [];
    try {
      const findImage = (name: string) => bases.find(name);
      return { made: plan({ ...request, findImage, onWarning: (warning) => warnings.push(warning) }), warnings };
    } catch (error) {
      if (!(await bases.resolveMissing())) throw error;
    }
  }
}

function resultOf(image: Image): Pick<BuildResult, "imageId" | "manifestDigest"> {
  return { imageId: image.id, manifestDigest: image.target.digest };
}

function exportEvent(
  onEvent: (event: BuildEvent) => void,
  made: { readonly image: Image; readonly names: readonly string[]; readonly startedAt: number },
): void {
  const name = ["exporting to image", ...made.names.map((tag) => `naming to ${tag}`)].join(", ");
  onEvent({
    type: "vertex",
    id: digestOf(`export ${made.image.id} ${made.names.join(" ")}`),
    name,
    inputs: [],
    state: "done",
    startedAt: made.startedAt,
    completedAt: performance.timeOrigin + performance.now(),
  });
}

function warningEvent(warning: Warning): BuildEvent {
  const { file, startLine, endLine } = warning.range;
  return { type: "warning", message: `${warning.rule}: ${warning.message}`, source: { file, startLine, endLine } };
}

/** `# check=error=true` */
function lintError(rules: readonly string[]): SlipwayError {
  return new SlipwayError("invalid", `lint violation found for rules: ${rules.join(", ")}`, {
    hint: "The file asks for this with check=error=true; skip a rule with # check=skip=RULE;error=true.",
  });
}

/** Build arguments that no ARG asks for are most often misspelt. */
function unusedArgs(dockerfile: Dockerfile, given: Readonly<Record<string, string>>): string[] {
  const declared = new Set<string>();
  const instructions = [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => stage.instructions)];
  for (const instruction of instructions) {
    if (instruction.kind === "arg") for (const { name } of instruction.args) declared.add(name);
  }
  const unused = Object.keys(given).filter(
    (name) => !declared.has(name) && !PROXY_ARGS.includes(name) && !BUILDER_ARGS.has(name),
  );
  return unused.length === 0 ? [] : [`One or more build-args [${unused.join(" ")}] were not consumed`];
}
