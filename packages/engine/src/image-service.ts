import type { HistoryEntry, ImageId } from "@slipway/oci";
import type { Image } from "@slipway/store";
import type { Filters } from "./filters.ts";

export interface ImageHistoryItem extends HistoryEntry {
  readonly id: ImageId | "<missing>";
  readonly size: number;
  readonly tags: readonly string[];
}

export declare class ImageService {
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
  }): Promise<{ readonly image: Image; readonly containers: number }[]>;
  inspect(nameOrId: string): Promise<Image>;
  history(nameOrId: string): Promise<ImageHistoryItem[]>;
  tag(nameOrId: string, repository: string, tag: string | undefined): Promise<void>;
  remove(
    nameOrId: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<{ readonly untagged?: string; readonly deleted?: string }[]>;
  load(
    archive: ReadableStream<Uint8Array>,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (progress: {
        readonly id: string;
        readonly current: number;
        readonly total: number;
      }) => void;
    },
  ): Promise<{ readonly id: ImageId; readonly names: readonly string[] }[]>;
  save(nameOrIds: readonly string[], options: { readonly signal: AbortSignal }): Promise<ReadableStream<Uint8Array>>;
  /** A root file system tar, compressed or not, becomes an image of one layer. */
  import(
    tar: ReadableStream<Uint8Array>,
    options: {
      readonly reference?: string;
      readonly message: string;
      readonly changes: readonly string[];
      readonly platform?: string;
      readonly signal: AbortSignal;
    },
  ): Promise<ImageId>;
  prune(filters: Filters): Promise<{
    readonly removed: readonly { readonly untagged?: string; readonly deleted?: string }[];
    readonly freedBytes: number;
  }>;
}
