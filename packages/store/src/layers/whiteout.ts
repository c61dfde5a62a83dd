/** How layers say that something of the layers below is gone (OCI image specification 1.1, layer.md, "Whiteouts"). */
export const WHITEOUT_PREFIX = ".wh.";
export const OPAQUE_MARKER = ".wh..wh..opq";
/** Left behind by aufs in old images; means nothing to anybody else. */
export const AUFS_PREFIX = ".wh..wh.";

/** overlayfs' own attributes: `trusted.` for root, `user.` for a mount with `userxattr`. */
export function overlayXattr(userxattr: boolean, name: "opaque" | "redirect" | "metacopy"): string {
  return `${userxattr ? "user" : "trusted"}.overlay.${name}`;
}

export const OPAQUE_VALUE: Uint8Array = new TextEncoder().encode("y");

export function isOverlayXattr(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}

/**
 * Whether an attribute belongs to a layer. Marks of overlayfs never do: in from outside they would let a layer redirect
 * directories. SELinux labels and the like belong to the machine.
 */
export function isLayerXattr(name: string): boolean {
  if (name.startsWith("user.") || name.startsWith("trusted.")) return !isOverlayXattr(name);
  return name === "security.capability" || name.startsWith("system.posix_acl_");
}
