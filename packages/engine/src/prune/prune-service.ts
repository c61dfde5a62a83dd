import { breath } from "../breath.ts";
import type { ContainerService } from "../containers/container-service.ts";
import type { Filters } from "../filters.ts";
import type { RemovedItem } from "../images/image-removal.ts";
import type { ImageService } from "../images/image-service.ts";
import type { NetworkService } from "../networks/network-service.ts";
import type { TrashService } from "../trash/trash-service.ts";
import type { VolumeService } from "../volumes/volume-service.ts";
import type { PrunedItem, PrunePlan, PrunePlanner, PruneStep } from "./prune-plan.ts";

/** What the call of one step would have answered. */
export interface PruneReport {
  readonly kind: PruneStep["kind"];
  /** IDs; of volumes and networks names. */
  readonly removed: readonly (string | RemovedItem)[];
  /** Bytes that are free now. */
  readonly freedBytes: number;
}

export interface PruneResult {
  readonly reports: readonly PruneReport[];
  /** What went, with sizes and last use as they were. */
  readonly items: readonly PrunedItem[];
  /** Also what made room in the trash. */
  readonly freedBytes: number;
  /** What can be brought back; absent when nothing can. */
  readonly trash?: { readonly prune: string; readonly bytes: number; readonly until: number };
}

export interface PruneParts {
  readonly planner: PrunePlanner;
  readonly trash: TrashService;
  readonly containers: ContainerService;
  readonly networks: NetworkService;
  readonly volumes: VolumeService;
  readonly images: ImageService;
  readonly pruneCache: (options: {
    readonly all: boolean;
    readonly filters: Filters;
  }) => Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}

/** Several prune calls as one, after which images and volumes can be brought back. Docker's own calls keep nothing. */
export class PruneService {
  readonly #parts: PruneParts;

  constructor(parts: PruneParts) {
    this.#parts = parts;
  }

  plan(steps: readonly PruneStep[], options: { readonly trash?: boolean } = {}): Promise<PrunePlan> {
    return this.#parts.planner.plan(steps, options);
  }

  /** In the order of the steps. A step that fails ends it; what the steps before it took stays taken. */
  async run(steps: readonly PruneStep[], options: { readonly trash?: boolean } = {}): Promise<PruneResult> {
    const { planner, trash } = this.#parts;
    const { items } = await planner.plan(steps, options);
    const stamp = trash.stamp();
    // What has become prunable since the plan was made is kept too; it must fit afterwards.
    const atOnce = new Set(items.flatMap((item) => (item.trash === true ? [] : [`${item.kind} ${item.id}`])));
    const isOn = options.trash === true && trash.room() > 0;
    const keep = (kind: "image" | "volume", id: string) => (isOn && !atOnce.has(`${kind} ${id}`) ? stamp : undefined);
    const reports: PruneReport[] = [];
    let tidied = { freedBytes: 0 };
    try {
      for (const step of steps) {
        await breath();
        reports.push(await this.#step(step, keep));
      }
    } finally {
      await breath();
      tidied = await trash.tidy();
    }
    await breath();
    const kept = trash.contents().items.filter(({ prune }) => prune === stamp.batch);
    const bytes = kept.reduce((sum, item) => sum + item.bytes, 0);
    const freedBytes = reports.reduce((sum, report) => sum + report.freedBytes, tidied.freedBytes);
    const result = { reports, items: removedOf(items, reports), freedBytes };
    return kept.length === 0 ? result : { ...result, trash: { prune: stamp.batch, bytes, until: stamp.until } };
  }

  async #step(
    step: PruneStep,
    keep: (kind: "image" | "volume", id: string) => ReturnType<TrashService["stamp"]> | undefined,
  ): Promise<PruneReport> {
    const { containers, networks, volumes, images, pruneCache } = this.#parts;
    const { kind, filters } = step;
    switch (kind) {
      case "container":
        return { kind, ...(await containers.prune(filters)) };
      case "network":
        return { kind, ...(await networks.prune(filters)), freedBytes: 0 };
      case "volume":
        return { kind, ...(await volumes.prune(filters, ({ name }) => keep("volume", name))) };
      case "image":
        return { kind, ...(await images.prune(filters, ({ id }) => keep("image", id))) };
      case "builder":
        return { kind, ...(await pruneCache({ all: step.all, filters })) };
    }
  }
}

/** What was planned and happened. */
function removedOf(items: readonly PrunedItem[], reports: readonly PruneReport[]): PrunedItem[] {
  const gone = new Set(
    reports.flatMap(({ kind, removed }) =>
      removed.map((each) => `${kind} ${typeof each === "string" ? each : (each.deleted ?? "")}`),
    ),
  );
  return items.filter(({ kind, id }) => gone.has(`${kind} ${id}`));
}
