/** The house, bottom to top: a package imports only packages of a lower layer (ARCHITECTURE.md, "The house"). */
export const LAYERS: readonly (readonly string[])[] = [
  ["base", "gotemplate"],
  ["oci", "tar", "sys"],
  ["dockerfile", "store", "network", "runtime"],
  ["registry", "sign", "scan"],
  ["build", "engine"],
  ["server"],
  ["explorer", "cli", "daemon"],
];

/** Packages that serve tests only: they may import anything, and nothing that ships may import them. */
export const TEST_PACKAGES: readonly string[] = ["testkit"];

/** The executable's entry picks the daemon by a dynamic import, so that plain commands never load it. */
export const ALLOWED_SIDEWAYS: readonly string[] = ["cli -> daemon"];
