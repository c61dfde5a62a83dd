import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "@slipway/base";
import { ExitError } from "../errors.ts";

/** One context, as its `meta.json` holds it. Fields that are not ours are kept. */
export interface ContextMeta {
  readonly Name: string;
  readonly Metadata: Readonly<Record<string, unknown>> & { readonly Description?: string };
  readonly Endpoints: Readonly<Record<string, Endpoint>>;
}

export interface Endpoint {
  readonly Host?: string;
  readonly SkipTLSVerify?: boolean;
}

/** Certificates by endpoint and file name: `docker` → `ca.pem`. */
export type TlsMaterial = Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;
/** A name from an archive becomes a file's name: nothing that leads elsewhere. */
const FILE = /^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$/;

/** Throws `ExitError` for names that Docker refuses too. */
export function checkContextName(name: string): void {
  if (name === "default") throw new ExitError(1, '"default" is a reserved context name');
  if (!NAME.test(name)) {
    throw new ExitError(
      1,
      `context name "${name}" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`,
    );
  }
}

/** Docker's own folder of contexts: `contexts/meta/<sha256 of the name>/meta.json` and `contexts/tls/<the same>/`. */
export class ContextStore {
  readonly #root: string;

  constructor(configDirectory: string) {
    this.#root = join(configDirectory, "contexts");
  }

  metaDirectory(name: string): string {
    return join(this.#root, "meta", digestOf(name));
  }

  tlsDirectory(name: string): string {
    return join(this.#root, "tls", digestOf(name));
  }

  has(name: string): boolean {
    return existsSync(join(this.metaDirectory(name), "meta.json"));
  }

  /** Sorted by name. Folders without a readable document are passed over. */
  all(): ContextMeta[] {
    const metas = names(join(this.#root, "meta")).flatMap((id) => {
      const meta = readMeta(join(this.#root, "meta", id, "meta.json"));
      return meta === undefined ? [] : [meta];
    });
    return metas.sort((a, b) => (a.Name < b.Name ? -1 : 1));
  }

  /** Throws `ExitError` in Docker's words. */
  get(name: string): ContextMeta {
    const path = join(this.metaDirectory(name), "meta.json");
    const meta = readMeta(path);
    if (meta !== undefined) return meta;
    const known = nearest(name, ["default", ...this.all().map(({ Name }) => Name)]);
    throw new ExitError(
      1,
      `context "${name}": context not found: open ${path}: no such file or directory`,
      known === undefined ? "'slipway context ls' lists what there is." : `Did you mean '${known}'?`,
    );
  }

  tls(name: string): TlsMaterial {
    const root = this.tlsDirectory(name);
    return Object.fromEntries(
      names(root).map((endpoint) => [
        endpoint,
        Object.fromEntries(names(join(root, endpoint)).map((file) => [file, readFileSync(join(root, endpoint, file))])),
      ]),
    );
  }

  /** Certificates first: a context that is listed must not lack its own. `tls` undefined keeps those it has. */
  save(meta: ContextMeta, tls?: TlsMaterial): void {
    if (tls !== undefined) this.#saveTls(meta.Name, tls);
    const directory = this.metaDirectory(meta.Name);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    replace(join(directory, "meta.json"), JSON.stringify(meta), 0o644);
  }

  #saveTls(name: string, tls: TlsMaterial): void {
    const root = this.tlsDirectory(name);
    rmSync(root, { recursive: true, force: true });
    for (const [endpoint, files] of Object.entries(tls)) {
      for (const [file, content] of Object.entries(files)) {
        if (!FILE.test(endpoint) || !FILE.test(file)) {
          throw new ExitError(1, `invalid context: ${JSON.stringify(`${endpoint}/${file}`)} is no file's name`);
        }
        mkdirSync(join(root, endpoint), { recursive: true, mode: 0o700 });
        writeFileSync(join(root, endpoint, file), content, { mode: 0o600 });
      }
    }
  }

  remove(name: string): void {
    rmSync(this.metaDirectory(name), { recursive: true, force: true });
    rmSync(this.tlsDirectory(name), { recursive: true, force: true });
  }
}

/** Sets `currentContext` of `config.json`, `default` takes it out; all else in the file stays. */
export function setCurrentContext(configDirectory: string, name: string): void {
  const path = join(configDirectory, "config.json");
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>) : {};
  const { currentContext: _, ...rest } = before;
  mkdirSync(configDirectory, { recursive: true, mode: 0o700 });
  const after = name === "default" ? rest : { ...rest, currentContext: name };
  replace(path, JSON.stringify(after, undefined, "\t"), 0o600);
}

function digestOf(name: string): string {
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function readMeta(path: string): ContextMeta | undefined {
  try {
    return parseMeta(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Throws `ExitError` when it is no context. */
export function parseMeta(text: string): ContextMeta {
  const value = JSON.parse(text) as Partial<ContextMeta> | null;
  if (typeof value?.Name !== "string") throw new ExitError(1, "invalid context: no metadata found");
  return { ...value, Name: value.Name, Metadata: value.Metadata ?? {}, Endpoints: value.Endpoints ?? {} };
}

/** Whole or not at all. */
function replace(path: string, text: string, mode: number): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode });
  renameSync(draft, path);
}
