import { posix } from "node:path";
import { errnoOf, SlipwayError } from "@slipway/base";
import type { ImageId } from "@slipway/oci";
import { closeFd, O, openInRoot } from "@slipway/sys";
import { type ContainerContext, publishContainerEvent } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import { type ContainerChange, changesOf, withoutMountPoints } from "./container-changes.ts";
import { type CommitRequest, commitContainer } from "./container-commit.ts";
import { baseName, cleanPath, openPlace, type PathStat, statPath } from "./container-path.ts";
import { type OpenedRoot, openRoot } from "./opened-root.ts";
import { whilePatient } from "./patient-upload.ts";
import { extractTree } from "./tree-extract.ts";
import { tarOfTree } from "./tree-tar.ts";

/** How often a scan of files that change meanwhile is begun anew. */
const SCANS = 5;

export interface ExtractRequest {
  /** Owners as the archive names them; otherwise everything belongs to root. */
  readonly copyUidGid: boolean;
  readonly noOverwriteDirNonDir: boolean;
  readonly signal: AbortSignal;
}

/** Freezes and thaws a container; what `ContainerService` does. */
export interface Pausing {
  pause(nameOrId: string): Promise<void>;
  unpause(nameOrId: string): Promise<void>;
}

/** The files of containers, running or not: in and out as tars, as changes, as images. */
export class FileService {
  readonly #context: ContainerContext;
  readonly #pausing: Pausing;
  readonly #patience: number;

  /** `patience`: milliseconds that an upload which sends nothing may keep others from a stopped container. */
  constructor(context: ContainerContext, pausing: Pausing, patience = 10_000) {
    this.#context = context;
    this.#pausing = pausing;
    this.#patience = patience;
  }

  /** Throws `not-found` for the container or the path. */
  async stat(nameOrId: string, path: string): Promise<PathStat> {
    const entry = this.#context.index.resolve(nameOrId);
    const clean = cleanPath(path);
    await using root = await openRoot(this.#context, entry, { volumes: true, write: false });
    return statPath(root.fd, clean, nameOrId);
  }

  /** A tar of a file or a tree, under its last name. */
  async archive(
    nameOrId: string,
    path: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<{ readonly stat: PathStat; readonly tar: AsyncIterable<Uint8Array> }> {
    const entry = this.#context.index.resolve(nameOrId);
    const clean = cleanPath(path);
    const root = await openRoot(this.#context, entry, { volumes: true, write: false });
    try {
      const stat = statPath(root.fd, clean, nameOrId);
      const part =
        stat.stat.kind === "dir"
          ? { directory: clean, name: baseName(clean) }
          : { directory: posix.dirname(clean), entry: posix.basename(clean), name: posix.basename(clean) };
      const tar = tarOfTree(root.fd, { ...part, live: root.live });
      publishContainerEvent(this.#context, entry, "archive-path", { path });
      return { stat, tar: whileOpen(root, tar, signal) };
    } catch (error) {
      await root[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Unpacks into a directory. Throws `forbidden` for a read-only root or volume, `invalid` for what is no directory. */
  async extract(
    nameOrId: string,
    path: string,
    tar: ReadableStream<Uint8Array>,
    request: ExtractRequest,
  ): Promise<void> {
    const entry = this.#context.index.resolve(nameOrId);
    const clean = cleanPath(path);
    await using root = await openRoot(this.#context, entry, { volumes: true, write: true });
    closeFd(openPlace(root.fd, clean, { flags: O.PATH, container: nameOrId }));
    refuseOthers(root.fd, clean);
    refuseReadonly(entry, clean);
    const { copyUidGid: keepOwners, noOverwriteDirNonDir, signal } = request;
    const isAwaited = (): boolean => this.#context.lock.isAwaited(entry.id);
    // The files of a stopped container are ours alone meanwhile: its start waits.
    const upload = root.live ? tar : whilePatient(tar, { limit: this.#patience, isAwaited }, `container ${nameOrId}`);
    await extractTree(root.fd, upload, { directory: clean, keepOwners, noOverwriteDirNonDir, signal });
    publishContainerEvent(this.#context, entry, "extract-to-dir", { path });
  }

  async changes(nameOrId: string): Promise<ContainerChange[]> {
    const { index, store } = this.#context;
    const entry = index.resolve(nameOrId);
    const writable = entry.writable ?? store.layers.writable(entry.definition.writableId);
    if (writable === undefined) return [];
    const below = await store.layers.view(writable.parent);
    for (let attempt = 1; ; attempt++) {
      try {
        return changesOf(withoutMountPoints(await store.layers.scan(writable), below), below);
      } catch (error) {
        // A file went away between its listing and the look at it.
        if (errnoOf(error) !== "ENOENT" || attempt === SCANS) throw error;
      }
    }
  }

  /** All files of the container as a tar, without what is mounted into it. */
  async export(nameOrId: string, { signal }: { readonly signal: AbortSignal }): Promise<AsyncIterable<Uint8Array>> {
    const entry = this.#context.index.resolve(nameOrId);
    const root = await openRoot(this.#context, entry, { volumes: false, write: false });
    publishContainerEvent(this.#context, entry, "export");
    return whileOpen(root, tarOfTree(root.fd, { directory: "/", name: "", live: root.live }), signal);
  }

  /**
   * An image of the container as it is. A running one is paused meanwhile whether the request says so or not: whoever can
   * change the tree while it is copied could have files of the host copied into the image.
   */
  async commit(nameOrId: string, request: CommitRequest): Promise<ImageId> {
    const { index, lock } = this.#context;
    const entry = index.resolve(nameOrId);
    if (entry.state.status === "running") {
      // Noted first: if the engine falls meanwhile, the next one knows whose pause it is.
      index.amend(entry, { state: { committing: true } });
      try {
        if (await this.#pauseUnlessEnding(entry)) return await this.#commitPaused(entry, request);
      } finally {
        // It may have been ended or removed meanwhile.
        await this.#pausing.unpause(entry.id).catch(() => {});
        if (index.get(entry.id) !== undefined) index.amend(entry, { state: { committing: false } });
      }
    }
    return lock.with(entry.id, () => commitContainer(this.#context, entry, request));
  }

  /** With its lock: whoever resumes it, a stop too, waits until all is copied. */
  #commitPaused(entry: ContainerEntry, request: CommitRequest): Promise<ImageId> {
    return this.#context.lock.with(entry.id, () => {
      if (entry.state.status === "running") {
        throw new SlipwayError("conflict", `container ${entry.id} was unpaused while it was about to be committed`);
      }
      return commitContainer(this.#context, entry, request);
    });
  }

  /** False if it ended instead: what cannot be paused because it is ending is an ended container in a moment. */
  async #pauseUnlessEnding(entry: ContainerEntry): Promise<boolean> {
    try {
      await this.#pausing.pause(entry.id);
      return true;
    } catch (error) {
      try {
        if (isAlive(entry.state.status)) await this.#context.index.nextExit(entry.id, AbortSignal.timeout(1_000));
      } catch {
        throw error;
      }
      return false;
    }
  }
}

function refuseOthers(root: number, clean: string): void {
  try {
    closeFd(openInRoot(root, clean, O.PATH | O.DIRECTORY));
  } catch (error) {
    if (errnoOf(error) !== "ENOTDIR") throw error;
    throw new SlipwayError("invalid", "extraction point is not a directory", { cause: error });
  }
}

function refuseReadonly(entry: ContainerEntry, clean: string): void {
  const { hostConfig, mounts } = entry.definition;
  const path = clean.replace(/\/\.?$/, "");
  const [mount] = mounts
    .filter(({ destination }) => path === destination || path.startsWith(`${destination}/`))
    .sort((a, b) => b.destination.length - a.destination.length);
  if (mount === undefined && hostConfig.ReadonlyRootfs === true) {
    throw new SlipwayError("forbidden", "container rootfs is marked read-only");
  }
  if (mount?.readWrite === false) throw new SlipwayError("forbidden", "mounted volume is marked read-only");
}

/** Closes the root with the stream's end, and also when nobody reads it before the client is gone. */
function whileOpen(
  root: OpenedRoot,
  tar: AsyncGenerator<Uint8Array, void, undefined>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  let begun = false;
  const abandon = (): void => {
    if (!begun) void root[Symbol.asyncDispose]();
  };
  signal.addEventListener("abort", abandon, { once: true });
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    begun = true;
    signal.removeEventListener("abort", abandon);
    try {
      signal.throwIfAborted();
      yield* tar;
    } finally {
      await root[Symbol.asyncDispose]();
    }
  }
  return read();
}
