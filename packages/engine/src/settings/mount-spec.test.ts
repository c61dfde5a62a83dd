import { describe, expect, test } from "bun:test";
import type { MountPoint } from "../faces.ts";
import { checkVolumeName, parseBind, parseMountPoint, requestedMounts } from "./mount-spec.ts";

describe("the options of a bind", () => {
  test.each([
    ["/a:/b", { readOnly: false, propagation: "rprivate", createSource: true, recursive: true }],
    ["/a:/b:ro", { readOnly: true }],
    ["/a:/b:rw,z", { readOnly: false, mode: "rw,z" }],
    ["/a:/b:ro,Z", { readOnly: true, mode: "ro,Z" }],
    ["/a:/b:rshared", { propagation: "rshared" }],
    ["/a:/b:ro,slave", { readOnly: true, propagation: "slave" }],
    ["/a:/b:cached", { readOnly: false, mode: "cached" }],
    ["/a:/b:delegated,ro", { readOnly: true }],
    ["name:/b:nocopy", { kind: "volume", name: "name", copyUp: false }],
    ["name:/b:ro,nocopy", { kind: "volume", readOnly: true, copyUp: false }],
    ["/b", { kind: "volume", name: undefined, destination: "/b" }],
  ])("%s", (spec, expected) => {
    expect(parseBind(spec)).toMatchObject(expected);
  });

  test.each([
    "/a:/b:ro,rw",
    "/a:/b:shared,slave",
    "/a:/b:fast",
    "name:/b:rshared",
    "a b:/x",
    "/a:b",
    "/a:/",
    ":/b",
    "/a:/b:c:d",
  ])("%s is refused", (spec) => {
    expect(() => parseBind(spec)).toThrow();
  });

  test("the volume driver is for the volumes of binds", () => {
    const [request] = requestedMounts({ Binds: ["name:/b"], VolumeDriver: "other" });
    expect(request).toMatchObject({ kind: "volume", driver: "other" });
  });
});

describe("a mount", () => {
  const read = (mount: Partial<MountPoint>) => parseMountPoint({ Target: "/t", Type: "bind", ...mount } as MountPoint);

  test.each<[Partial<MountPoint>, object]>([
    [
      { Source: "/a", ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true } },
      { kind: "bind", readOnly: true, recursiveReadOnly: "forced", createSource: false },
    ],
    [{ Source: "/a", ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true } }, { recursiveReadOnly: "never" }],
    [
      { Source: "/a", BindOptions: { NonRecursive: true, CreateMountpoint: true } },
      { recursive: false, createSource: true },
    ],
    [{ Source: "/a", BindOptions: { Propagation: "rslave" } }, { propagation: "rslave" }],
    [
      { Type: "image", Source: "alpine", ImageOptions: { Subpath: "etc" } },
      { kind: "image", image: "alpine", subpath: "etc" },
    ],
    [
      { Type: "tmpfs", TmpfsOptions: { SizeBytes: 5, Mode: 0o755, Options: [["exec"], ["uid", "7"]] } },
      { kind: "tmpfs", options: ["size=5", "mode=755", "exec", "uid=7"] },
    ],
    [
      { Type: "volume", Source: "name", VolumeOptions: { NoCopy: true, Subpath: "a/b", Labels: { x: "y" } } },
      { kind: "volume", name: "name", copyUp: false, subpath: "a/b", labels: { x: "y" } },
    ],
  ])("%j", (mount, expected) => {
    expect(read(mount)).toMatchObject(expected);
  });

  test.each<[Partial<MountPoint>, string]>([
    [{ Source: "/a", BindOptions: { ReadOnlyForceRecursive: true } }, "mount source must be read-only"],
    [
      { Source: "/a", ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true, Propagation: "rshared" } },
      "requires Propagation to be rprivate",
    ],
    [
      { Source: "/a", ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true, ReadOnlyNonRecursive: true } },
      "mutually exclusive",
    ],
    [{ Source: "/a", BindOptions: { Propagation: "wide" } }, "invalid propagation mode: wide"],
    [{ Source: "a" }, "mount path must be absolute"],
    [{}, "field Source must not be empty"],
    [{ Type: "image" }, "field Source must not be empty"],
    [{ Type: "image", Source: "x", BindOptions: {} }, "field BindOptions must not be specified"],
    [
      { Type: "image", Source: "x", ImageOptions: { Subpath: "/etc" } },
      "subpath must be a relative path within the image",
    ],
    [{ Type: "tmpfs", Source: "x" }, "field Source must not be specified"],
    [{ Type: "tmpfs", TmpfsOptions: { Options: [["loud"]] } }, 'invalid tmpfs option "loud"'],
    [{ Type: "volume", VolumeOptions: { Subpath: "a" } }, "must not set Subpath when using anonymous volumes"],
    [
      { Type: "volume", Source: "name", VolumeOptions: { Subpath: "../a" } },
      "subpath must be a relative path within the volume",
    ],
    [{ Type: "cluster" as never, Source: "x" }, 'mount type unknown: "cluster"'],
  ])("%j is refused: %s", (mount, message) => {
    expect(() => read(mount)).toThrow(message);
  });

  test("two at one place are refused", () => {
    expect(() => requestedMounts({ Binds: ["/a:/t"], Tmpfs: { "/t/": "" } })).toThrow("Duplicate mount point: /t");
  });
});

test("a volume's name is a directory's name and no longer", () => {
  expect(() => checkVolumeName("v".repeat(255))).not.toThrow();
  expect(() => checkVolumeName("v".repeat(256))).toThrow("volume name is too long: 256 characters, at most 255");
});
