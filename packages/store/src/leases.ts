import { randomBytes } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { ChainId, DiffId, Digest, ImageId } from "@slipway/oci";
import type { Lease, LeaseStore } from "./faces.ts";

/** Leases live in memory alone: they end with the process, and the lock on the data root allows only one process. */
export class Leases implements LeaseStore {
  readonly #open = new Map<string, HeldLease>();

  open(label: string): Lease {
    const lease = new HeldLease(randomBytes(8).toString("hex"), label, (id) => this.#open.delete(id));
    this.#open.set(lease.id, lease);
    return lease;
  }

  all(): Iterable<HeldLease> {
    return this.#open.values();
  }
}

export class HeldLease implements Lease {
  readonly id: string;
  readonly label: string;
  readonly blobs = new Set<Digest>();
  readonly layers = new Set<ChainId>();
  /** Layers that have no place in a stack yet. */
  readonly diffs = new Set<DiffId>();
  readonly images = new Set<ImageId>();
  readonly #onRelease: (id: string) => void;
  #released = false;

  constructor(id: string, label: string, onRelease: (id: string) => void) {
    this.id = id;
    this.label = label;
    this.#onRelease = onRelease;
  }

  get released(): boolean {
    return this.#released;
  }

  release(): void {
    this.#released = true;
    this.#onRelease(this.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}

/** The lease as we made it. Throws `conflict` for one that has ended: what it is to hold could vanish at any moment. */
export function heldLease(lease: Lease): HeldLease {
  if (!(lease instanceof HeldLease)) throw new SlipwayError("internal", "a lease that this store did not make");
  if (lease.released) throw new SlipwayError("conflict", `the lease '${lease.label}' has ended`);
  return lease;
}
