import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, type Scope, SlipwayError } from "@slipway/base";
import type { Mount } from "@slipway/runtime";
import {
  bindMount,
  closeFd,
  lstatNs,
  mkdirInRoot,
  mknod,
  mountOverlay,
  mountTmpfs,
  resolveInRoot,
  unmount,
} from "@slipway/sys";
import type { ExecMount } from "../graph.ts";
import type { Result } from "../result.ts";
import type { BuildSession } from "../session.ts";
import { ContextSnapshot } from "../sources/context-snapshot.ts";
import { hiddenPaths } from "../sources/hidden-paths.ts";
import { proxyAgent } from "./agent-proxy.ts";
import { copyTree } from "./copy-tree.ts";
import type { MountPoint } from "./mount-points.ts";

/** What the mounts of a step come to: for the runtime, for its environment, and what must exist to mount on. */
export interface StepMounts {
  readonly mounts: readonly Mount[];
  readonly env: readonly string[];
  readonly points: readonly MountPoint[];
}

interface MountWork {
  readonly session: BuildSession;
  readonly inputs: readonly Result[];
  /** The step's own directory. */
  readonly bundle: string;
  /** Undoes everything when the step ends. */
  readonly scope: Scope;
  readonly signal: AbortSignal;
}

interface MadeMount {
  readonly mount?: Mount;
  readonly env?: string;
  readonly kind?: "dir" | "file";
}

const S_IFCHR = 0o020000;

export async function makeStepMounts(list: readonly ExecMount[], work: MountWork): Promise<StepMounts> {
  const mounts: Mount[] = [];
  const env: string[] = [];
  const points: MountPoint[] = [];
  for (const [index, mount] of list.entries()) {
    const made = await makeMount(mount, `${work.bundle}/mount-${index}`, work);
    if (made.env !== undefined) env.push(made.env);
    if (made.mount === undefined) continue;
    mounts.push(made.mount);
    points.push({ target: made.mount.target, kind: made.kind ?? "dir" });
  }
  return { mounts, env, points };
}

function makeMount(mount: ExecMount, place: string, work: MountWork): Promise<MadeMount> | MadeMount {
  switch (mount.type) {
    case "bind":
      return bindSource(mount, place, work);
    case "cache":
      return cacheMount(mount, place, work);
    case "tmpfs": {
      const size = mount.size === undefined ? [] : [`size=${mount.size}`];
      return { mount: { type: "tmpfs", source: "tmpfs", target: mount.target, options: ["nosuid", "nodev", ...size] } };
    }
    case "secret":
      return secret(mount, place, work);
    case "ssh":
      return agent(mount, place, work);
  }
}

async function bindSource(mount: ExecMount & { type: "bind" }, place: string, work: MountWork): Promise<MadeMount> {
  const input = work.inputs[mount.input - 1];
  if (input === undefined) throw new Error("a bind mount without its input");
  const path = await mountedSource(input, { source: mount.source, writable: !mount.readonly, place }, work);
  const kind = lstatNs(path)?.kind === "dir" ? "dir" : "file";
  const options = ["rbind", mount.readonly ? "ro" : "rw", "rprivate"];
  return { mount: { type: "bind", source: path, target: mount.target, options }, kind };
}

interface SourceRequest {
  readonly source: string;
  /** What is written goes nowhere. */
  readonly writable: boolean;
  readonly place: string;
}

/** The path on the host of a place in a context or a root, as steps may see it. */
async function mountedSource(input: Result, request: SourceRequest, work: MountWork): Promise<string> {
  const { tree, lowers } = await lowersOf(input, request, work);
  const only = lowers[0];
  const mounted = join(request.place, "root");
  if (lowers.length === 1 && only !== undefined && !request.writable) return inside(only, request.source, tree);
  mkdirSync(mounted, { recursive: true });
  if (lowers.length === 0) return mounted;
  const [upper, workDirectory] = [join(request.place, "upper"), join(request.place, "work")];
  if (request.writable) for (const path of [upper, workDirectory]) mkdirSync(path);
  const writing = request.writable ? { upper, work: workDirectory, volatile: true } : { readonly: true };
  mountOverlay({ lowers, target: mounted, ...writing });
  work.scope.defer(() => unmount(mounted));
  return inside(mounted, request.source, tree);
}

function inside(root: string, path: string, missing: (path: string) => Error): string {
  if (path === "") return root;
  try {
    return resolveInRoot(root, path);
  } catch (cause) {
    throw Object.assign(missing(path), { cause });
  }
}

async function lowersOf(
  input: Result,
  request: SourceRequest,
  work: MountWork,
): Promise<{ readonly lowers: readonly string[]; readonly tree: (path: string) => Error }> {
  const missing = (path: string) =>
    input.kind === "files"
      ? input.tree.missing(path)
      : new SlipwayError("not-found", `"/${path}": not found in ${input.step}`);
  if (input.kind === "root") {
    const { store } = work.session.services;
    return {
      lowers: input.chainId === undefined ? [] : await store.layers.lowers(input.chainId, work.signal),
      tree: missing,
    };
  }
  if (!(input.tree instanceof ContextSnapshot))
    throw new SlipwayError("invalid", "only contexts and images can be mounted");
  const hidden = hiddenPaths(input.tree);
  if (hidden.length === 0) return { lowers: [input.tree.root], tree: missing };
  const mask = join(request.place, "mask");
  for (const path of hidden) {
    mkdirSync(join(mask, path, ".."), { recursive: true });
    mknod(join(mask, path), S_IFCHR, 0, 0);
  }
  return { lowers: [mask, input.tree.root], tree: missing };
}

async function cacheMount(mount: ExecMount & { type: "cache" }, place: string, work: MountWork): Promise<MadeMount> {
  const { id, sharing, mode, uid, gid } = mount;
  const input = mount.input === undefined ? undefined : work.inputs[mount.input - 1];
  const fill = async (directory: string): Promise<void> => {
    if (input === undefined) return;
    const from = await mountedSource(input, { source: mount.source, writable: false, place }, work);
    copyTree(from, directory, { owners: input.kind === "root" ? "kept" : "root" });
  };
  const held = await work.session.services.cacheMounts.take(
    { id, sharing, mode, uid, gid, ...(input !== undefined && { fill }) },
    work.signal,
  );
  work.scope.defer(() => held.release());
  const below = input === undefined ? mount.source : "";
  return {
    mount: {
      type: "bind",
      source: below === "" ? held.path : pinned(held.path, mount, place, work),
      target: mount.target,
      options: ["rbind", mount.readonly ? "ro" : "rw", "rprivate"],
    },
  };
}

/**
 * A directory of a cache, mounted on `place`. What lies in the cache was written by steps: a path would be followed
 * through their links, and a step that runs at the same time could put one there after we looked. A descriptor cannot
 * be exchanged.
 */
function pinned(cache: string, mount: ExecMount & { type: "cache" }, place: string, work: MountWork): string {
  mkdirSync(place);
  const fd = directoryIn(cache, mount);
  try {
    bindMount(`/proc/self/fd/${fd}`, place);
  } finally {
    closeFd(fd);
  }
  work.scope.defer(() => unmount(place));
  return place;
}

function directoryIn(cache: string, { id, source }: ExecMount & { type: "cache" }): number {
  try {
    return mkdirInRoot(cache, source);
  } catch (cause) {
    throw new SlipwayError("invalid", `cache ${id}: source '${source}' cannot be used: ${errorMessage(cause)}`, {
      cause,
      hint: "It must be a directory of the cache, or not exist yet; links may not lead out of the cache.",
    });
  }
}

function secret(mount: ExecMount & { type: "secret" }, place: string, work: MountWork): MadeMount {
  const value = work.session.secrets.get(mount.id);
  if (value === undefined) {
    if (!mount.required) return {};
    throw new SlipwayError("not-found", `secret ${mount.id}: not found`, {
      hint: `Give it: --secret id=${mount.id},src=FILE or --secret id=${mount.id},env=NAME`,
    });
  }
  const env = mount.env === undefined ? {} : { env: `${mount.env}=${new TextDecoder().decode(value)}` };
  if (mount.target === undefined) return env;
  mkdirSync(place);
  // Memory, never a disk.
  mountTmpfs(place, { mode: 0o700 });
  work.scope.defer(() => unmount(place));
  const path = join(place, "secret");
  writeFileSync(path, value, { mode: 0o600 });
  chownSync(path, mount.uid, mount.gid);
  chmodSync(path, mount.mode);
  const options = ["bind", "ro", "nosuid", "nodev", "noexec", "rprivate"];
  return { ...env, mount: { type: "bind", source: path, target: mount.target, options }, kind: "file" };
}

async function agent(mount: ExecMount & { type: "ssh" }, place: string, work: MountWork): Promise<MadeMount> {
  const socket = work.session.ssh.get(mount.id);
  if (socket === undefined) {
    if (!mount.required) return {};
    throw new SlipwayError("not-found", `no SSH agent ${mount.id} was given to the build`, {
      hint: `Give it: --ssh ${mount.id}`,
    });
  }
  mkdirSync(place);
  const { mode, uid, gid } = mount;
  const proxy = work.scope.use(await proxyAgent(socket, { path: join(place, "agent.sock"), mode, uid, gid }));
  const mounted: Mount = {
    type: "bind",
    source: proxy.path,
    target: mount.target,
    options: ["bind", "rw", "rprivate"],
  };
  return { mount: mounted, env: `SSH_AUTH_SOCK=${mount.target}`, kind: "file" };
}
