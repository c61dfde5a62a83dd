import type { NetworkInfo } from "@slipway/network";
import type { EventLog } from "../events/event-log.ts";

/** Announces what happened to a network, or to a container on it. */
export function publishNetworkEvent(
  context: { readonly events: EventLog },
  network: Pick<NetworkInfo, "id" | "name" | "driver">,
  action: "create" | "destroy" | "connect" | "disconnect",
  attributes: Readonly<Record<string, string>> = {},
): void {
  context.events.publish({
    type: "network",
    action,
    id: network.id,
    attributes: { ...attributes, name: network.name, type: network.driver },
  });
}
