import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomId, Scope, SlipwayError } from "@slipway/base";
import type { ChainId, Digest } from "@slipway/oci";
import { type ProcessUser, resolveUser, runStep, type SpecInput } from "@slipway/runtime";
import type { Lease, RootView, WritableLayer } from "@slipway/store";
import { lstatNs, mountOverlay, unmount } from "@slipway/sys";
import { cacheKey, type StepRecord } from "../cache.ts";
import { parentReason } from "../causes.ts";
import type { Report } from "../flights.ts";
import { type ExecOperation, operationDigest, type Vertex } from "../graph.ts";
import type { IngredientInput, Ingredients } from "../ingredients.ts";
import { type FileManifest, manifestDigest } from "../manifest.ts";
import type { Result, RootResult } from "../result.ts";
import { type BuildSession, missReasons, useRecord } from "../session.ts";
import type { Work } from "../solver.ts";
import { resultOf } from "./file-op.ts";
import { makeMountPoints } from "./mount-points.ts";
import { describeSelection, selectSources } from "./selection.ts";
import { makeStepMounts, type StepMounts } from "./step-mounts.ts";
import type { StepNetwork } from "./step-networks.ts";
import { StepOutput } from "./step-output.ts";

const HOSTNAME = "buildkitsandbox";

export interface ExecStep {
  readonly session: BuildSession;
  readonly vertex: Vertex;
  readonly operation: ExecOperation;
  readonly root: RootResult;
  /** Of the mounts. */
  readonly inputs: readonly Result[];
}

export async function prepareExec(step: ExecStep, signal: AbortSignal): Promise<Work<Result>> {
  const { session, vertex, operation, root } = step;
  const sources = await Promise.all(step.inputs.map((input, index) => describeInput(step, input, index, signal)));
  const key = cacheKey("exec", [
    operationDigest(operation),
    root.chainId ?? null,
    ...sources.map(({ identity }) => identity),
  ]);
  const fresh = vertex.about.noCache === true;
  const record = fresh ? undefined : session.services.cache.find(key);
  if (record !== undefined) {
    useRecord(session, vertex, { key, cached: true });
    return { found: resultOf(record, vertex, root) };
  }
  const ingredients = ingredientsOf(step, sources);
  const manifests = new Map(
    sources.flatMap(({ manifest, files }) => (manifest && files ? [[manifest, files] as const] : [])),
  );
  const run = async (runSignal: AbortSignal, report: Report): Promise<Result> => {
    // Its own lease: the build that began this work may leave before another that waits for it too.
    await using lease = session.services.store.leases.open(`build step ${vertex.about.name}`);
    const made = await runExec({ ...step, lease }, runSignal, report);
    const added: StepRecord = { ...made, key, createdAt: Date.now(), description: vertex.about.name, ingredients };
    session.services.cache.add(added, manifests);
    return resultOf(added, vertex, root);
  };
  const done = () => useRecord(session, vertex, { key, cached: false });
  // A step with secrets of one build must not stand in for a step with those of another that runs at the same time.
  const own = fresh || operation.mounts.some(({ type }) => type === "secret" || type === "ssh");
  return {
    key: own ? `${key} ${session.lease.id}` : key,
    reasons: () => {
      const inputOf = (role: string) =>
        role === "root" ? root : step.inputs[sources.findIndex((one) => one.role === role)];
      const parent = (role: string) => parentReason(session, inputOf(role));
      return missReasons(session, vertex, ingredients, { manifests, parent });
    },
    run,
    done,
  };
}

interface DescribedInput {
  readonly identity: string;
  readonly step: string;
  readonly role: string;
  readonly manifest?: Digest;
  readonly files?: FileManifest;
}

/** What a mount shows, for the key: a root by its chain ID, a context by the files below the mounted path. */
async function describeInput(
  step: ExecStep,
  input: Result,
  index: number,
  signal: AbortSignal,
): Promise<DescribedInput> {
  const uses = step.operation.mounts.filter((mount) => "input" in mount && mount.input === index + 1);
  const role = `mount ${uses.map((mount) => ("target" in mount ? mount.target : "")).join(" ")}`;
  if (input.kind === "root") return { identity: input.chainId ?? "empty", step: input.step, role };
  const sources = uses.map((mount) => ({
    kind: "path" as const,
    path: "source" in mount ? mount.source : "",
    input: 1,
  }));
  const action = { kind: "copy" as const, sources, destination: "/", exclude: [], parents: false, unpack: false };
  const files = await describeSelection(selectSources(action, [input.tree]), signal);
  const manifest = manifestDigest(files);
  return { identity: manifest, step: input.step, role, manifest, files };
}

function ingredientsOf({ vertex, operation, root }: ExecStep, sources: readonly DescribedInput[]): Ingredients {
  const { env, buildArgs, args, mounts, type: _type, ...rest } = operation;
  const settings = { ...rest, args, mounts };
  const inputs: IngredientInput[] = [
    { role: "root", identity: root.chainId ?? "empty", step: root.step, ...(root.image && { image: root.image }) },
    ...sources.map(({ identity, step, role, manifest }) => ({ role, identity, step, ...(manifest && { manifest }) })),
  ];
  return {
    text: vertex.about.text,
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)])),
    env: valuesOf(env),
    buildArgs: valuesOf(buildArgs),
    inputs,
  };
}

function valuesOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

interface Made {
  readonly chainId?: ChainId;
  readonly layer: boolean;
  readonly size: number;
}

/** Runs the step on an overlay over its root; what it wrote becomes the layer. Everything is undone before it returns. */
async function runExec(step: ExecStep & { readonly lease: Lease }, signal: AbortSignal, report: Report): Promise<Made> {
  const { session, operation, root, lease } = step;
  const { store, networks, bundles } = session.services;
  if (operation.security === "insecure") {
    throw new SlipwayError("forbidden", "RUN --security=insecure is not allowed", { hint: "Remove the flag." });
  }
  await using scope = new Scope();
  // The first of a daemon makes the bridge, and the first on an image its trees: neither waits for the other.
  const taking = networks.take(
    { mode: operation.network, hostname: HOSTNAME, extraHosts: operation.extraHosts },
    signal,
  );
  scope.defer(() => taking.then((taken) => taken.release()).catch(() => {}));
  const writable = await store.layers.prepare(root.chainId, lease);
  let kept = false;
  scope.defer(() => (kept ? undefined : store.layers.discard(writable)));
  const id = randomId();
  const bundle = join(bundles, id);
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  scope.defer(() => rmSync(bundle, { recursive: true, force: true }));
  const { mode, uid, gid } = stateOf(writable.upper);
  const view = await store.layers.view(root.chainId, signal);
  const network = await taking;
  const own = await makeStepMounts(operation.mounts, { session, inputs: step.inputs, bundle, scope, signal });
  const mounts = withFiles(own, { bundle, network, operation });
  const unmountRoot = mountRoot(writable, { bundle, view, points: mounts.points });
  scope.defer(unmountRoot);
  const output = new StepOutput(report, [...session.secrets.values()]);
  const spec = specOf(step, { id, writable, network, mounts, user: userOf(operation.user, view) });
  const onOutput = output.write.bind(output);
  const { exitCode } = await runStep({ spec, bundle, signal, onOutput }).finally(() => output.end());
  if (exitCode !== 0) throw failedStep(operation, exitCode, output.lastLines());
  unmountRoot();
  const now = stateOf(writable.upper);
  const sameRoot = now.mode === mode && now.uid === uid && now.gid === gid;
  if (sameRoot && readdirSync(writable.upper).length === 0) {
    return { ...(root.chainId && { chainId: root.chainId }), layer: false, size: 0 };
  }
  const clamp = operation.epoch === undefined ? {} : { clampMtime: BigInt(operation.epoch) * 1_000_000_000n };
  const layer = await store.layers.commit(writable, lease, { ...clamp, signal });
  kept = true;
  return { chainId: layer.chainId, layer: true, size: layer.size };
}

function stateOf(path: string) {
  const stat = lstatNs(path);
  if (stat === undefined) throw new SlipwayError("internal", `${path} has vanished`);
  return stat;
}

/** Returns what undoes it, once. */
function mountRoot(
  writable: WritableLayer,
  step: { readonly bundle: string; readonly view: RootView; readonly points: StepMounts["points"] },
): () => void {
  const points = join(step.bundle, "points");
  mkdirSync(points);
  makeMountPoints(points, step.view, step.points);
  const { upper, work, merged, lowers } = writable;
  // Volatile: after a crash the upper directory is thrown away, and a layer is synced by the store.
  mountOverlay({ lowers: [...lowers, points], upper, work, target: merged, volatile: true });
  let mounted = true;
  return () => {
    if (mounted) unmount(merged);
    mounted = false;
  };
}

interface StepFiles {
  readonly bundle: string;
  readonly network: StepNetwork;
  readonly operation: ExecOperation;
}

/** The files that every step gets: hosts, resolver, and a script that it consists of. */
function withFiles(own: StepMounts, { bundle, network, operation }: StepFiles): StepMounts {
  const files: [target: string, content: string, mode: number][] = [
    ["/etc/hosts", network.hosts, 0o644],
    ["/etc/resolv.conf", network.resolver, 0o644],
  ];
  if (operation.script !== undefined) files.push([operation.args[0] ?? "", operation.script.content, 0o755]);
  const taken = new Set(own.points.map(({ target }) => target));
  const mounts = [...own.mounts];
  const points = [...own.points];
  for (const [target, content, mode] of files) {
    if (taken.has(target)) continue;
    const source = join(bundle, target.replaceAll("/", "_"));
    writeFileSync(source, content, { mode });
    mounts.push({ type: "bind", source, target, options: ["bind", mode === 0o755 ? "ro" : "rw", "rprivate"] });
    points.push({ target, kind: "file" });
  }
  return { mounts, env: own.env, points };
}

function userOf(spec: string, view: RootView): ProcessUser {
  const text = (path: string) => new TextDecoder().decode(view.readFile(path) ?? new Uint8Array());
  return resolveUser(spec, text("/etc/passwd"), text("/etc/group"));
}

interface SpecParts {
  readonly id: string;
  readonly writable: WritableLayer;
  readonly network: StepNetwork;
  readonly mounts: StepMounts;
  readonly user: ProcessUser;
}

function specOf({ session, operation }: ExecStep, { id, writable, network, mounts, user }: SpecParts): SpecInput {
  return {
    id,
    rootPath: writable.merged,
    readonlyRoot: false,
    args: operation.args,
    env: stepEnv(session, operation, mounts, user),
    cwd: operation.cwd,
    user,
    terminal: false,
    hostname: HOSTNAME,
    mounts: mounts.mounts,
    devices: [],
    capAdd: [],
    capDrop: [],
    privileged: false,
    noNewPrivileges: false,
    seccomp: "default",
    sysctls: {},
    rlimits: operation.ulimits ?? [],
    resources: {},
    namespaces: { network: network.namespace, ipc: "private", pid: "private", uts: "private", cgroup: "private" },
    shmSize: operation.shmSize,
    annotations: {},
  };
}

/** ENV hides an ARG of the same name; proxies and secrets come on top. */
function stepEnv(session: BuildSession, operation: ExecOperation, mounts: StepMounts, user: ProcessUser): string[] {
  const env = new Map<string, string>();
  for (const pair of [
    `HOME=${user.home}`,
    ...session.proxyEnv,
    ...operation.buildArgs,
    ...operation.env,
    ...mounts.env,
  ]) {
    env.set(pair.slice(0, pair.indexOf("=")), pair);
  }
  return [...env.values()];
}

function failedStep(operation: ExecOperation, exitCode: number, lastLines: readonly string[]): SlipwayError {
  const command = operation.args.join(" ");
  const shown = command.length > 400 ? `${command.slice(0, 400)}...` : command;
  return new SlipwayError("invalid", `process "${shown}" did not complete successfully: exit code: ${exitCode}`, {
    details: { exitCode, lastLines, command: shown },
  });
}
