import type { LayerEntry } from "@slipway/store";
import type { Random } from "./random.ts";

const NAMES = [
  "a",
  "b",
  "bin",
  "a-b",
  "a.b",
  "a b",
  "ä",
  "日本",
  "😀",
  "\ufb01",
  "-rf",
  "new\nline",
  "back\\slash",
  "wh.x",
  "..x",
  "x".repeat(101),
  "y".repeat(200),
] as const;
const MODES = [0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0o000, 0o444] as const;
/** Before 1970, whole seconds, nanoseconds, and beyond what ustar can say. */
const TIMES = [
  0n,
  1n,
  -1_500_000_000n,
  1_700_000_000_000_000_000n,
  1_700_000_000_123_456_789n,
  9_000_000_000_000_000_001n,
] as const;
const SIZES = [0, 1, 511, 512, 513, 5000, 70_000] as const;

/** Entries of a layer with everything that a layer can hold, consistent: every path once, parents are directories. */
export function randomLayer(random: Random, count = 60): LayerEntry[] {
  const entries = new Map<string, LayerEntry>();
  const directories = [""];
  const files: string[] = [];
  for (let made = 0; made < count; made++) {
    const parent = random.pick(directories);
    const path = parent === "" ? random.pick(NAMES) : `${parent}/${random.pick(NAMES)}`;
    if (entries.has(path) || path.length > 1500) continue;
    const entry = randomEntry(random, path, files);
    entries.set(path, entry);
    if (entry.kind === "dir") directories.push(path);
    if (entry.kind === "file") files.push(path);
  }
  return shuffled([...entries.values()], random);
}

function randomEntry(random: Random, path: string, files: readonly string[]): LayerEntry {
  const metadata = {
    path,
    mode: random.pick(MODES),
    uid: random.pick([0, 0, 1, 1000, 65534, 3_000_000]),
    gid: random.pick([0, 0, 1, 1000, 3_000_000]),
    mtime: random.pick(TIMES),
  };
  const xattrs = random.chance(0.2) ? { xattrs: randomXattrs(random) } : {};
  const roll = random.below(20);
  if (roll < 6) return { kind: "dir", ...metadata, ...xattrs, ...(random.chance(0.2) && { opaque: true }) };
  if (roll < 13) {
    const content = { from: "bytes", bytes: random.bytes(random.pick(SIZES)) } as const;
    return { kind: "file", ...metadata, ...xattrs, content };
  }
  if (roll < 15)
    return {
      kind: "symlink",
      ...metadata,
      mode: 0o777,
      target: random.pick(["/etc/passwd", "../x", "t".repeat(150), "ö"]),
    };
  if (roll < 17 && files.length > 0) return { kind: "link", ...metadata, target: random.pick(files) };
  if (roll === 17) return { kind: "whiteout", path };
  if (roll === 18) return { kind: "char", ...metadata, major: 1, minor: random.pick([3, 5, 300]) };
  return { kind: "fifo", ...metadata };
}

function randomXattrs(random: Random): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>([["user.test", random.bytes(random.pick([0, 1, 200]))]]);
  // cap_net_raw+ep, revision 2
  const capability = new Uint8Array([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  if (random.chance(0.5)) found.set("security.capability", capability);
  return found;
}

function shuffled<T>(items: T[], random: Random): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const [a, b] = [items[at], items[other]];
    if (a !== undefined && b !== undefined) [items[at], items[other]] = [b, a];
  }
  return items;
}
