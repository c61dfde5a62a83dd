import { lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openStore, type Store } from "@slipway/store";
import { mounts, unmountBelow } from "@slipway/sys";
import { readTar, type TarHeader } from "@slipway/tar";
import { BASE_IMAGE, baseImageArchive } from "@slipway/testkit";
import { createBuilder, type OwnedBuilder } from "./builder.ts";
import { BUILD_MIGRATIONS } from "./cache-schema.ts";
import type { BuildEvent, BuildRequest, BuildResult, MissReason } from "./faces.ts";

export const BASE = BASE_IMAGE.replace(/:latest$/, "");

/** What a test gives for a file: its text, or more about it. */
export type FileSpec =
  | string
  | { readonly text?: string; readonly mode?: number; readonly link?: string; readonly owner?: number };

type Vertex = Extract<BuildEvent, { type: "vertex" }>;

/** A finished build as tests look at it. */
export class Built {
  readonly result: BuildResult;
  readonly events: readonly BuildEvent[];

  constructor(result: BuildResult, events: readonly BuildEvent[]) {
    this.result = result;
    this.events = events;
  }

  get output(): string {
    return this.events.map((event) => (event.type === "log" ? Buffer.from(event.data).toString() : "")).join("");
  }

  get warnings(): string[] {
    return this.events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  }

  /** The last state of the step whose name holds a text. */
  step(text: string): Vertex {
    const found = this.events.findLast(
      (event): event is Vertex => event.type === "vertex" && event.name.includes(text),
    );
    if (found === undefined) throw new Error(`no step ${text}`);
    return found;
  }

  state(text: string): string {
    return this.step(text).state;
  }

  reasons(text: string): string[] {
    return (this.step(text).reasons ?? []).map(reasonText);
  }
}

export function reasonText({ kind, subject, before, after }: MissReason): string {
  const change = before === undefined && after === undefined ? "" : ` ${before ?? ""} -> ${after ?? ""}`;
  return kind.startsWith("file") || kind === "parent" || kind === "base-image"
    ? `${kind} ${subject}`
    : `${kind} ${subject}${change}`;
}

/** An engine's builder with a data root of its own, and directories for contexts. */
export class Testbed {
  readonly root: string;
  readonly store: Store;
  readonly builder: OwnedBuilder;

  private constructor(root: string, store: Store, builder: OwnedBuilder) {
    this.root = root;
    this.store = store;
    this.builder = builder;
  }

  static async open(root = mkdtempSync(join(tmpdir(), "slipway-build-"))): Promise<Testbed> {
    const store = await openStore({ root: join(root, "data"), migrations: [BUILD_MIGRATIONS] });
    if (store.images.find(BASE) === undefined) {
      await store.images.load(
        new Response(baseImageArchive() as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>,
      );
    }
    const builder = await createBuilder({
      store,
      paths: { build: join(root, "data/build"), execRoot: join(root, "exec") },
    });
    return new Testbed(root, store, builder);
  }

  /** Closes it, and with `remove` takes everything away. */
  async close(remove = true): Promise<void> {
    await this.builder.close();
    await this.store.close();
    if (!remove) return;
    unmountBelow(this.root);
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Mount points below the test's directory: none are left when nothing runs. */
  mounted(): string[] {
    return mounts()
      .map(({ target }) => target)
      .filter((target) => target.startsWith(this.root));
  }

  directory(name: string, files: Readonly<Record<string, FileSpec>>): string {
    const path = join(this.root, "contexts", name);
    mkdirSync(path, { recursive: true });
    writeFiles(path, files);
    return path;
  }

  async build(
    context: string,
    dockerfile: string,
    more: Partial<BuildRequest> & { signal?: AbortSignal } = {},
  ): Promise<Built> {
    const { signal, ...rest } = more;
    const events: BuildEvent[] = [];
    const request = requestOf(context, dockerfile, rest);
    const result = await this.builder.build(request, (event) => events.push(event), signal);
    return new Built(result, events);
  }

  /** A build that must fail: its error and events. */
  async failure(context: string, dockerfile: string, more: Partial<BuildRequest> = {}) {
    const events: BuildEvent[] = [];
    try {
      await this.builder.build(requestOf(context, dockerfile, more), (event) => events.push(event));
    } catch (error) {
      return {
        error: error as Error & { code: string; hint?: string; details: Record<string, unknown> },
        built: new Built({ names: [] }, events),
      };
    }
    throw new Error("the build succeeded");
  }

  /** The files of a build's result, by path. */
  async files(context: string, dockerfile: string, more: Partial<BuildRequest> = {}): Promise<Map<string, ResultFile>> {
    const { result } = await this.build(context, dockerfile, { ...more, output: { type: "tar" } });
    return tarFiles(result.stream as ReadableStream<Uint8Array>);
  }

  image(built: Built) {
    const id = built.result.imageId;
    const image = id && this.store.images.get(id);
    if (!image) throw new Error("no image");
    return image;
  }
}

export interface ResultFile {
  readonly header: TarHeader;
  readonly text: string;
}

export async function tarFiles(stream: ReadableStream<Uint8Array>): Promise<Map<string, ResultFile>> {
  const files = new Map<string, ResultFile>();
  for await (const { header, content } of readTar(stream)) {
    const parts: Uint8Array[] = [];
    for await (const chunk of content) parts.push(new Uint8Array(chunk));
    files.set(header.name, { header, text: Buffer.concat(parts).toString() });
  }
  return files;
}

export function writeFiles(root: string, files: Readonly<Record<string, FileSpec>>): void {
  for (const [name, spec] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    const file = typeof spec === "string" ? { text: spec } : spec;
    if (name.endsWith("/")) mkdirSync(path, { recursive: true, mode: file.mode ?? 0o755 });
    else if (file.link !== undefined) symlinkSync(file.link, path);
    else writeFileSync(path, file.text ?? "", { mode: file.mode ?? 0o644 });
    if (file.owner !== undefined) lchownSync(path, file.owner, file.owner);
  }
}

function requestOf(path: string, dockerfile: string, more: Partial<BuildRequest>): BuildRequest {
  return {
    context: { kind: "local", path },
    dockerfile: { text: dockerfile, name: "Dockerfile" },
    namedContexts: {},
    buildArgs: {},
    labels: {},
    tags: [],
    noCache: false,
    pull: false,
    secrets: new Map(),
    ssh: new Map(),
    network: "none",
    extraHosts: [],
    shmSize: 64 * 1024 * 1024,
    ulimits: [],
    output: { type: "image" },
    ...more,
  };
}
