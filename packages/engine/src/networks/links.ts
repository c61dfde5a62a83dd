import { SlipwayError } from "@slipway/base";
import type { ContainerIndex } from "../containers/container-index.ts";
import type { EndpointSettings } from "../faces.ts";

/** `db:database`, or `db` for a container that is known by its own name. Throws `invalid`. */
export function parseLink(text: string): { readonly container: string; readonly alias: string } {
  const parts = text.split(":");
  const container = (parts[0] ?? "").replace(/^\//, "");
  // Inspect shows links as `/db:/web/database`.
  const alias = (parts[1] ?? container).replace(/^.*\//, "");
  if (parts.length > 2 || container === "" || alias === "" || /\s/.test(text)) {
    throw new SlipwayError("invalid", `bad format for links: ${text}`, { hint: "Write it as container:alias." });
  }
  return { container, alias };
}

/** Links of one network, as the network takes them: alias to a name there. */
export function linksOn(
  index: Pick<ContainerIndex, "isTaken" | "resolve">,
  settings: EndpointSettings,
): Record<string, string> {
  return Object.fromEntries(
    (settings.links ?? []).map((text) => {
      const { container, alias } = parseLink(text);
      return [alias, index.isTaken(container) ? container : idOf(index, container)];
    }),
  );
}

/** The other one may come later: then its name will be known. */
function idOf(index: Pick<ContainerIndex, "resolve">, container: string): string {
  try {
    return index.resolve(container).id;
  } catch {
    return container;
  }
}
