import type { ChainId, ImageId } from "@slipway/oci";
import type { LayerEntry } from "@slipway/store";
import type { Vertex } from "./graph.ts";
import type { FileTree } from "./sources/file-tree.ts";

/** What a vertex comes to. */
export type Result = RootResult | FilesResult;

/** A root file system. */
export interface RootResult {
  readonly kind: "root";
  /** Undefined is an empty root. */
  readonly chainId?: ChainId;
  /** Whether the vertex added a layer to its first input. */
  readonly layer: boolean;
  /** When that layer was made, milliseconds. */
  readonly createdAt: number;
  /** The image that it is, if it is one. */
  readonly image?: { readonly name: string; readonly id: ImageId };
  /** The step that made it, for explanations. */
  readonly step: string;
  /** The vertex that made it, and what it made it of: for explanations. */
  readonly vertex?: Vertex;
  readonly below?: RootResult;
  /** The layer as it was made in this build, and what it lies on. */
  readonly made?: { readonly entries: readonly LayerEntry[]; readonly on: RootResult };
}

/** Files that are no root file system: a context, a download. */
export interface FilesResult {
  readonly kind: "files";
  readonly tree: FileTree;
  readonly step: string;
}

export function rootOf(result: Result | undefined): RootResult {
  if (result?.kind !== "root") throw new Error("the vertex has no root file system");
  return result;
}
