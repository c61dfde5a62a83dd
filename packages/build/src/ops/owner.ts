import { SlipwayError } from "@slipway/base";
import { resolveUser } from "@slipway/runtime";
import type { RootView } from "@slipway/store";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** `--chown`: names from the stage's own files; a number alone is the group too, a name alone brings its primary group. Throws `invalid`. */
export function resolveOwner(spec: string, view: () => Promise<RootView>): Promise<Owner> | Owner {
  const numeric = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(spec);
  if (numeric !== null) return { uid: Number(numeric[1]), gid: Number(numeric[2] ?? numeric[1]) };
  return view().then((root) => namedOwner(spec, root));
}

function namedOwner(spec: string, view: RootView): Owner {
  const text = (path: string) => new TextDecoder().decode(view.readFile(path) ?? new Uint8Array());
  const [user = "", group = ""] = spec.split(":");
  if (user === "" && group === "")
    throw new SlipwayError("invalid", `invalid owner '${spec}'`, { hint: "Write user or user:group." });
  const { uid, gid } = resolveUser(group === "" ? user : spec, text("/etc/passwd"), text("/etc/group"));
  return { uid, gid };
}

/** Whether the owner depends on the root's own files. */
export function isNamedOwner(spec: string): boolean {
  return !/^\d{1,10}(?::\d{1,10})?$/.test(spec);
}
