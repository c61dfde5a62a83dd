import { hashFiles } from "./hash-files.ts";

/** One request: the files of one directory tree to hash. The answer has 32 bytes for each. */
export interface HashRequest {
  readonly id: number;
  readonly root: string;
  readonly paths: readonly string[];
}

export type HashReply =
  | { readonly id: number; readonly digests: Uint8Array }
  | {
      readonly id: number;
      readonly error: { readonly message: string; readonly path: string; readonly errno?: string };
    };

declare const self: Worker;

self.onmessage = (event: MessageEvent<HashRequest>) => {
  const { id, root, paths } = event.data;
  self.postMessage(hashReply(id, root, paths));
};

function hashReply(id: number, root: string, paths: readonly string[]): HashReply {
  const result = hashFiles(root, paths);
  return result instanceof Uint8Array ? { id, digests: result } : { id, error: result };
}
