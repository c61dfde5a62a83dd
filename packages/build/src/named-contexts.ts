import { SlipwayError } from "@slipway/base";
import { isGitUrl, isHttpUrl } from "./plan/copy-words.ts";
import type { NamedContext } from "./plan/plan-request.ts";

export type NamedContextSource = NamedContext & { readonly path?: string };

/** What `--build-context name=value` means. Throws `invalid` or `not-implemented`. */
export function parseNamedContexts(values: Readonly<Record<string, string>>): Map<string, NamedContextSource> {
  return new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), parseNamedContext(name, value)]));
}

function parseNamedContext(name: string, value: string): NamedContextSource {
  if (value.startsWith("docker-image://")) return { kind: "image", name: value.slice("docker-image://".length) };
  if (value.startsWith("oci-layout://") || value.startsWith("target:")) {
    throw new SlipwayError("not-implemented", `the build context ${name}=${value} is of a kind that is not built yet`, {
      hint: "Load the image and give docker-image://NAME.",
    });
  }
  if (isGitUrl(value)) return { kind: "git", url: value };
  if (isHttpUrl(value)) {
    throw new SlipwayError(
      "not-implemented",
      `the build context ${name} is an archive on the network, which is not built yet`,
      {
        hint: "Unpack it and give the directory.",
      },
    );
  }
  return { kind: "files", path: value };
}
