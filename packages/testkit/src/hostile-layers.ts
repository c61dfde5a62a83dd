import { type TarMember, tarOf } from "./tar-of.ts";

/** A layer's tar that somebody made to do harm, and what must be said about it; or nothing, if it is to be harmless. */
export interface HostileLayer {
  readonly name: string;
  readonly tar: () => Uint8Array;
  /** Matches the message, which names the entry. Absent: the layer is accepted, and nothing outside of it is touched. */
  readonly complaint?: RegExp;
}

const file = (name: string, content = "evil"): TarMember => ({ name, type: "file", content });
const symlink = (name: string, linkname: string): TarMember => ({ name, type: "symlink", linkname });
const link = (name: string, linkname: string): TarMember => ({ name, type: "link", linkname });
const dir = (name: string): TarMember => ({ name, type: "dir", mode: 0o755 });
const layer = (name: string, members: readonly TarMember[], complaint?: RegExp): HostileLayer => ({
  name,
  tar: () => tarOf(members),
  ...(complaint && { complaint }),
});

/** `CANARY` in them is a file of the test's outside of the tree. */
export const HOSTILE_LAYERS: readonly HostileLayer[] = [
  layer("a name with ..", [file("../escaped")], /'\.\.\/escaped' has '\.\.' in its name/),
  layer("a name with .. inside", [dir("a"), file("a/../../escaped")], /'a\/\.\.\/\.\.\/escaped' has '\.\.'/),
  layer("an absolute name", [file("/etc/escaped")], /'\/etc\/escaped' has an absolute name/),
  layer("a file through a link to the host", [symlink("out", "/tmp"), file("out/slipway-escaped")]),
  layer("a file through a link with ..", [symlink("out", "../../../../../tmp"), file("out/slipway-escaped")]),
  layer("a directory becomes a link", [dir("d"), file("d/x"), symlink("d", "/tmp"), file("d/slipway-escaped")]),
  layer("a link becomes a directory", [symlink("d", "/tmp"), dir("d"), file("d/slipway-escaped")]),
  layer("a link to a link to the host", [symlink("a", "b"), symlink("b", "/tmp"), file("a/slipway-escaped")]),
  layer("a file over a link to the host", [symlink("passwd", "/tmp/slipway-escaped"), file("passwd")]),
  layer(
    "links in a circle",
    [symlink("a", "b"), symlink("b", "a"), file("a/x")],
    /'a\/x' goes through too many symbolic links/,
  ),
  layer(
    "a hard link to the host",
    [link("shadow", "/etc/shadow")],
    /'shadow' is a hard link to the absolute path '\/etc\/shadow'/,
  ),
  layer(
    "a hard link with ..",
    [link("shadow", "../../etc/shadow")],
    /'shadow' is a hard link to '..\/..\/etc\/shadow', outside/,
  ),
  layer(
    "a hard link through a link",
    [symlink("e", "/etc"), link("x", "e/shadow")],
    /'x' is a hard link to 'e\/shadow', which is not there/,
  ),
  layer("a hard link to a link to the host", [symlink("s", "/etc/shadow"), link("x", "s")]),
  layer("a hard link to nothing", [link("x", "missing")], /'x' is a hard link to 'missing', which is not there/),
  layer("a hard link to itself", [link("x", "x")], /'x' is a hard link to itself/),
  layer("a hard link to a directory", [dir("d"), link("x", "d")], /'x' is a hard link to the directory 'd'/),
  layer("the root as a file", [file(".")], /is the root/),
  layer("below a file", [file("a"), file("a/b")], /'a\/b' lies below 'a', which is not a directory/),
  layer("a whiteout of nothing", [file("a/.wh.")], /'a\/\.wh\.' is a whiteout of nothing/),
  layer("a whiteout of the parent", [dir("a"), file("a/.wh...", "")], /is a whiteout of nothing/),
  layer(
    "a device that overlayfs takes for a whiteout",
    [{ name: "etc", type: "char", devmajor: 0, devminor: 0 }],
    /'etc' is the device 0\/0/,
  ),
  layer(
    "a device number that does not exist",
    [{ name: "d", type: "block", devmajor: 2_000_000, devminor: 1 }],
    /'d' has the device number/,
  ),
  layer(
    "thousands of devices",
    Array.from(
      { length: 5000 },
      (_, minor): TarMember => ({ name: `d${minor}`, type: "char", devmajor: 1, devminor: minor }),
    ),
    /more than 4096 devices/,
  ),
  layer("marks of overlayfs as attributes", [
    { ...dir("d"), xattrs: new Map([["trusted.overlay.redirect", Buffer.from("/../../etc")]]) },
    { ...file("f"), xattrs: new Map([["user.overlay.metacopy", Buffer.from("")]]) },
  ]),
  layer("a name of 5000 characters", [file(`${"a/".repeat(2500)}b`)], /long|too large|limit/i),
  layer("a component of 300 characters", [file("c".repeat(300))], /'c+(?:\.\.\.)?' has a name of 300 bytes/),
  { name: "garbage", tar: () => new Uint8Array(2048).fill(0x41), complaint: /checksum|tar/i },
  { name: "cut off", tar: () => tarOf([file("a", "x".repeat(5000))]).subarray(0, 3000), complaint: /unexpected end/ },
  layer("entries that appear twice", [
    file("a", "1"),
    file("a", "2"),
    dir("b"),
    dir("b"),
    dir("c"),
    file("c/x"),
    file("c"),
  ]),
  layer("deeper than a path can be, through links", [dir("d"), symlink("d/l", "."), file(`d${"/l".repeat(30)}/x`)]),
];
