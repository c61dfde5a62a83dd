import { walkDirectory } from "@slipway/sys";
import type { ContextSnapshot } from "./context-snapshot.ts";

/** What the ignore rules hide of a context, topmost paths only: a mount of the context must not show it either. */
export function hiddenPaths(snapshot: ContextSnapshot): string[] {
  const { ignore } = snapshot;
  const hidden: string[] = [];
  if (ignore.empty) return hidden;
  walkDirectory(snapshot.root, ({ path, kind }) => {
    if (!ignore.ignores(path)) return undefined;
    if (kind === "dir" && !ignore.canPrune(path)) return undefined;
    hidden.push(path);
    return "skip";
  });
  return hidden;
}
