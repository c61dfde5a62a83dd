import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";

/** Tells once a run that its volumes are mounted, with what Docker says of each. */
export function announceMounts(context: Pick<ContainerContext, "events">, entry: ContainerEntry): void {
  entry.volumesAnnounced = true;
  for (const { type, name, driver, destination, readWrite, propagation } of entry.definition.mounts) {
    if (type !== "volume" || name === undefined) continue;
    const place = { container: entry.id, destination, driver: driver ?? "local" };
    const attributes = { ...place, propagation, "read/write": String(readWrite) };
    context.events.publish({ type: "volume", action: "mount", id: name, attributes });
  }
}

/** And that they are not any more; of a run that was never announced nothing is told. */
export function announceUnmounts(context: Pick<ContainerContext, "events">, entry: ContainerEntry): void {
  if (!entry.volumesAnnounced) return;
  entry.volumesAnnounced = false;
  for (const { type, name, driver } of entry.definition.mounts) {
    if (type !== "volume" || name === undefined) continue;
    const attributes = { container: entry.id, driver: driver ?? "local" };
    context.events.publish({ type: "volume", action: "unmount", id: name, attributes });
  }
}
