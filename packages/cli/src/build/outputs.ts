import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "../notation/environment.ts";

/** Where the result of a build goes. `dest` is a path, or `-` for stdout. */
export type Output =
  | { readonly type: "image"; readonly names: readonly string[]; readonly push?: PushForm }
  | { readonly type: "cacheonly" }
  | { readonly type: "local"; readonly dest: string }
  | { readonly type: "tar" | "oci" | "docker"; readonly dest: string };

/** How the layers travel when the image is sent to its registry. */
export interface PushForm {
  readonly compression?: string | undefined;
  readonly level?: string | undefined;
}

/** Reads the values of `--output`. Throws an `Error`. */
export function parseOutput(values: readonly string[]): Output {
  if (values.length > 1)
    throw new Error("several outputs in one build are not built yet: build again, the second time is cached");
  const [text] = values;
  if (text === undefined) return { type: "image", names: [] };
  const fields = splitCsv(text);
  // A plain path is a folder, a dash a tar.
  if (fields.length === 1 && !text.includes("=")) {
    return text === "-" ? { type: "tar", dest: "-" } : { type: "local", dest: text };
  }
  const {
    type,
    dest = "",
    name = "",
    push,
    compression,
    "compression-level": level,
    ...rest
  } = Object.fromEntries(fields.map(splitPair)) as Record<string, string | undefined>;
  if (type === undefined) throw new Error(`type is required for output '${text}'`);
  const [unknown] = Object.keys(rest).filter((key) => !IGNORED.has(key));
  if (unknown !== undefined) throw new Error(`unknown key '${unknown}' in output '${text}'`);
  const isPush = (push !== undefined && push !== "false") || type === "registry";
  const output = withType(type === "registry" ? "image" : type, dest, name);
  if (!isPush) return output;
  if (output.type !== "image") throw new Error(`type=${type} makes files: only images can be pushed`);
  return { ...output, push: { compression, level } };
}

/** Settings of Docker's exporters that our results have without asking. */
const IGNORED = new Set(["oci-mediatypes", "unpack", "store", "tar", "mode", "rewrite-timestamp"]);

function withType(type: string, dest: string, name: string): Output {
  switch (type) {
    case "image":
      return { type, names: name === "" ? [] : name.split(",") };
    case "cacheonly":
      return { type };
    case "local":
      if (dest === "") throw new Error("dest is required for local output");
      return { type, dest };
    case "docker":
      // Without a destination Docker loads the image, and ours is there already.
      return dest === "" ? { type: "image", names: name === "" ? [] : name.split(",") } : { type, dest };
    case "tar":
    case "oci":
      return { type, dest: dest === "" ? "-" : dest };
    default:
      throw new Error(`unknown output type '${type}': use image, registry, local, tar, oci, docker or cacheonly`);
  }
}
