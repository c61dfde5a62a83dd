import type { KeyedLock, Logger } from "@slipway/base";
import type { Networks } from "@slipway/network";
import type { CgroupAbilities, LogPolicy, Supervisor } from "@slipway/runtime";
import type { Store } from "@slipway/store";
import type { EventLog } from "../events/event-log.ts";
import type { PendingWork } from "../pending-work.ts";
import type { VolumeService } from "../volumes/volume-service.ts";
import type { ContainerEntry, ContainerIndex } from "./container-index.ts";
import type { ContainerPaths } from "./container-paths.ts";

/** What the parts of the container service work with. */
export interface ContainerContext {
  readonly store: Store;
  readonly supervisor: Supervisor;
  readonly networks: Networks;
  readonly paths: ContainerPaths;
  readonly log: Logger;
  readonly events: EventLog;
  readonly volumes: VolumeService;
  readonly index: ContainerIndex;
  /** By container ID: whatever starts, pauses, cleans up or removes one. Never held while waiting for an exit. */
  readonly lock: KeyedLock;
  readonly cleanups: PendingWork;
  readonly logPolicy: LogPolicy | undefined;
  readonly cgroupVersion: 1 | 2;
  /** What limits this kernel can hold. */
  readonly abilities: CgroupAbilities;
  readonly now: () => number;
}

/** Announces what happened to a container, with the attributes that Docker gives each of its events. */
export function publishContainerEvent(
  context: Pick<ContainerContext, "events">,
  entry: Pick<ContainerEntry, "id" | "name" | "definition">,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { Labels: labels, Image: image } = entry.definition.config;
  context.events.publish({
    type: "container",
    action,
    id: entry.id,
    attributes: { ...labels, image, name: entry.name, ...attributes },
  });
}
