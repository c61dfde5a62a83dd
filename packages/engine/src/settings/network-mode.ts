import { SlipwayError } from "@slipway/base";

/** How a container is connected. */
export type NetworkMode =
  | { readonly kind: "none" }
  | { readonly kind: "host" }
  /** The network of another container, by name or ID. */
  | { readonly kind: "container"; readonly container: string }
  | { readonly kind: "network"; readonly name: string };

/** Reads `HostConfig.NetworkMode`. Throws `invalid` for `container:` without a container. */
export function parseNetworkMode(text: string): NetworkMode {
  switch (text) {
    case "none":
    case "host":
      return { kind: text };
    case "":
    case "default":
      return { kind: "network", name: "bridge" };
    default:
      break;
  }
  if (!text.startsWith("container:")) return { kind: "network", name: text };
  const container = text.slice("container:".length);
  if (container === "")
    throw new SlipwayError("invalid", "Invalid network mode: invalid container format container:<name|id>");
  return { kind: "container", container };
}
