export type Filters = Readonly<Record<string, readonly string[]>>;

export interface PruneOptions {
  readonly all: boolean;
  readonly filters: Filters;
}

export type PruneKind = "container" | "network" | "volume" | "image" | "builder";

/** A prune call as our own engine takes it, for a plan or to be made. */
export interface PruneStep {
  readonly Kind: PruneKind;
  readonly All: boolean;
  readonly Filters: Filters;
}

export function stepOf(kind: PruneKind, { all, filters }: PruneOptions): PruneStep {
  const Filters =
    kind === "volume" && all
      ? { ...filters, all: ["true"] }
      : kind === "image"
        ? { ...filters, dangling: [String(!all)] }
        : filters;
  return { Kind: kind, All: all, Filters };
}
