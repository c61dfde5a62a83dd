import { ExitError } from "../../errors.ts";
import type { WireDescriptor } from "./remote-documents.ts";

/** A manifest in a list that is being made. */
export interface ListedManifest {
  /** The name under which it was found. */
  readonly ref: string;
  readonly descriptor: WireDescriptor;
}

/** Lists that are being made, before they are pushed: a directory of Docker's client folder for each. */
export class LocalLists {
  readonly #root: string;

  constructor(configDirectory: string) {
    this.#root = `${configDirectory}/manifests`;
  }

  async get(list: string): Promise<ListedManifest[] | undefined> {
    const { readdir } = await import("node:fs/promises");
    const folder = this.#folder(list);
    const names = await readdir(folder).catch(() => undefined);
    if (names === undefined) return undefined;
    return await Promise.all(
      names.sort().map(async (name) => {
        try {
          return (await Bun.file(`${folder}/${name}`).json()) as ListedManifest;
        } catch {
          throw new ExitError(1, `${folder}/${name} is not JSON`, `Remove the list: slipway manifest rm ${list}`);
        }
      }),
    );
  }

  async put(list: string, manifest: ListedManifest): Promise<void> {
    const { mkdir } = await import("node:fs/promises");
    const folder = this.#folder(list);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await Bun.write(`${folder}/${fileName(manifest.ref)}`, JSON.stringify(manifest));
  }

  async remove(list: string): Promise<boolean> {
    const { rm } = await import("node:fs/promises");
    const there = (await this.get(list).catch(() => [])) !== undefined;
    await rm(this.#folder(list), { recursive: true, force: true });
    return there;
  }

  #folder(list: string): string {
    return `${this.#root}/${fileName(list)}`;
  }
}

/** Names hold slashes and colons; nothing of them may lead out of the folder. */
function fileName(name: string): string {
  return name.replaceAll("/", "_").replaceAll(":", "-");
}
