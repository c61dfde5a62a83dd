import { existsSync, readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type DiffId, digestOf, encodeImageConfig, hostPlatform } from "@slipway/oci";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeader } from "@slipway/tar";

/** The name that the base image is loaded under. */
export const BASE_IMAGE = "slipway/base:latest";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
`;
const GROUP = `root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
nogroup:x:65534:
`;
const OS_RELEASE = `NAME="Slipway base"
ID=slipway-base
PRETTY_NAME="Slipway base (BusyBox)"
`;

/**
 * A root file system of Debian's `busybox-static`: every applet as a link, users, groups, the usual directories. The same
 * busybox gives the same bytes.
 */
export function baseRootTar(): Uint8Array {
  const busybox = findBusybox();
  const parts: Uint8Array[] = [];
  const add = (header: Pick<TarHeader, "name" | "type"> & Partial<TarHeader>, content = new Uint8Array()) => {
    parts.push(
      encodeTarHeader({ ...DEFAULTS, ...header, size: content.length }),
      content,
      new Uint8Array(padding(content.length)),
    );
  };
  const directory = (name: string, mode = 0o755, owner = 0) => add({ name, type: "dir", mode, uid: owner, gid: owner });
  const text = (name: string, content: string) => add({ name, type: "file", mode: 0o644 }, Buffer.from(content));

  for (const name of ["bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/sbin", "var", "var/log"])
    directory(name);
  directory("root", 0o700);
  directory("tmp", 0o1777);
  directory("var/tmp", 0o1777);
  directory("var/www", 0o755, 33);
  add({ name: "sbin", type: "symlink", mode: 0o777, linkname: "bin" });
  add({ name: "bin/busybox", type: "file", mode: 0o755 }, readFileSync(busybox));
  for (const applet of applets(busybox))
    add({ name: `bin/${applet}`, type: "symlink", mode: 0o777, linkname: "busybox" });
  add({ name: "usr/bin/env", type: "symlink", mode: 0o777, linkname: "../../bin/busybox" });
  text("etc/passwd", PASSWD);
  text("etc/group", GROUP);
  text("etc/os-release", OS_RELEASE);
  parts.push(END_OF_ARCHIVE);
  return Buffer.concat(parts);
}

/** The base image as `docker save` would write it: config, one layer, manifest.json. */
export function baseImageArchive(name = BASE_IMAGE): Uint8Array {
  const layer = baseRootTar();
  const { bytes: config, id } = encodeImageConfig({
    ...hostPlatform(),
    created: "1970-01-01T00:00:00Z",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"] },
    diffIds: [digestOf(layer) as DiffId],
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "the root file system of busybox-static" }],
  });
  const configName = `${id.slice("sha256:".length)}.json`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [name], Layers: ["layer.tar"] }]);
  const files: [string, Uint8Array][] = [
    [configName, config],
    ["layer.tar", layer],
    ["manifest.json", Buffer.from(manifest)],
  ];
  const parts = files.flatMap(([file, content]) => [
    encodeTarHeader({ ...DEFAULTS, name: file, type: "file", mode: 0o644, size: content.length }),
    content,
    new Uint8Array(padding(content.length)),
  ]);
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

const DEFAULTS: Omit<TarHeader, "name" | "type"> = {
  mode: 0o644,
  uid: 0,
  gid: 0,
  uname: "",
  gname: "",
  size: 0,
  mtime: 0n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: new Map(),
};

function findBusybox(): string {
  const path = ["/bin/busybox", "/usr/bin/busybox"].find((candidate) => existsSync(candidate));
  if (path !== undefined) return path;
  throw new SlipwayError("unavailable", "busybox is missing, and the base image is made of it", {
    hint: "apt-get install busybox-static",
  });
}

function applets(busybox: string): string[] {
  const listed = Bun.spawnSync([busybox, "--list"]).stdout.toString().split("\n");
  return listed.filter((applet) => applet !== "" && applet !== "busybox").sort();
}
