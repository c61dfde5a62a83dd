import type { Logger } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import type { Actor } from "../observe/webhooks.ts";
import type { Storage } from "../storage/contents.ts";

/** What the API's handlers work with. */
export interface RegistryParts {
  readonly storage: Storage;
  readonly limits: Limits;
  readonly log: Logger;
  /** Called after each change that was acknowledged. */
  readonly announce: (event: RegistryEvent, actor: Actor) => void;
  /** Throws QUOTA_EXCEEDED when `name` may not hold `size` bytes more. */
  readonly admit: (name: string, digest: Digest, size: number) => Promise<void>;
}

export interface Limits {
  /** The largest manifest, in bytes. */
  readonly manifest: number;
  /** The largest blob, in bytes. */
  readonly blob: number;
  /** Uploads of this process that may be open at once. */
  readonly uploads: number;
  /** How long, in milliseconds, what nobody refers to is kept, and an upload that nobody goes on with. */
  readonly grace: number;
}

export interface RegistryEvent {
  readonly action: "push" | "pull" | "delete" | "mount";
  readonly name: string;
  readonly digest?: Digest;
  readonly tag?: string;
  readonly mediaType?: string;
  readonly size?: number;
}

/** One request, taken apart. */
export interface Call {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly access: Access;
  /** Tells of a change by the one who asks. */
  readonly announce: (event: RegistryEvent) => void;
}

/** What the one who asks may do. */
export interface Access {
  readonly user?: string;
  allows(name: string, action: Action): boolean;
}

export type Action = "pull" | "push" | "delete";
