import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { HostConfig, MountPoint } from "../faces.ts";

/** A mount as it was asked for, whatever the notation. Destinations are absolute and normal. */
export type MountRequest =
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly destination: string;
      readonly readOnly: boolean;
      /** The mode as it was written: `ro,z`. */
      readonly mode: string;
      readonly propagation: string;
      readonly recursive: boolean;
      /** `-v` makes a missing source, `--mount` refuses it. */
      readonly createSource: boolean;
      readonly recursiveReadOnly?: "forced" | "never";
    }
  | {
      readonly kind: "image";
      /** As the user named it. */
      readonly image: string;
      readonly destination: string;
      readonly readOnly: true;
      readonly subpath?: string;
    }
  | {
      readonly kind: "volume";
      /** Undefined asks for an anonymous one. */
      readonly name: string | undefined;
      readonly destination: string;
      readonly readOnly: boolean;
      readonly mode: string;
      readonly copyUp: boolean;
      readonly labels: Readonly<Record<string, string>>;
      readonly driver: string;
      readonly options: Readonly<Record<string, string>>;
      readonly subpath?: string;
    }
  | {
      readonly kind: "tmpfs";
      readonly destination: string;
      readonly readOnly: boolean;
      readonly options: readonly string[];
      /** Asked for by `Tmpfs`, not `Mounts`. */
      readonly fromMap?: boolean;
    };

const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export function isVolumeName(name: string): boolean {
  return VOLUME_NAME.test(name);
}

/** It is the name of a directory. */
const LONGEST_NAME = 255;

/** Throws `invalid` as Docker words it, also for what looks like a path but is not absolute. */
export function checkVolumeName(name: string): void {
  if (name.length > LONGEST_NAME) {
    throw new SlipwayError("invalid", `volume name is too long: ${name.length} characters, at most ${LONGEST_NAME}`);
  }
  if (isVolumeName(name)) return;
  if (name.length === 1) {
    throw new SlipwayError("invalid", "volume name is too short, names should be at least two alphanumeric characters");
  }
  throw new SlipwayError(
    "invalid",
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}

/** Reads `source:destination[:mode]` or a destination alone, as `-v` has it. Throws `invalid`. */
export function parseBind(spec: string): MountRequest {
  const parts = spec.split(":");
  if (parts.length > 3 || parts[0] === "") throw invalidSpec(spec, "empty section between colons");
  const [first = "", second, modeText = ""] = parts;
  if (second === undefined) return anonymousVolume(checkDestination(spec, first));
  if (parts.length === 3 && modeText === "") throw invalidSpec(spec, "empty section between colons");
  const destination = checkDestination(spec, second);
  const mode = parseMode(spec, modeText);
  if (posix.isAbsolute(first)) {
    return {
      kind: "bind",
      source: posix.normalize(first).replace(/(.)\/$/, "$1"),
      destination,
      readOnly: mode.readOnly,
      mode: modeText,
      propagation: mode.propagation ?? "rprivate",
      recursive: true,
      createSource: true,
    };
  }
  checkVolumeName(first);
  if (mode.propagation !== undefined) throw new SlipwayError("invalid", `invalid mode: ${modeText}`);
  return { ...anonymousVolume(destination), name: first, readOnly: mode.readOnly, mode: modeText, copyUp: mode.copyUp };
}

function anonymousVolume(destination: string): MountRequest & { kind: "volume" } {
  return {
    kind: "volume",
    name: undefined,
    destination,
    readOnly: false,
    mode: "",
    copyUp: true,
    labels: {},
    driver: "local",
    options: {},
  };
}

function parseMode(
  spec: string,
  text: string,
): { readonly readOnly: boolean; readonly copyUp: boolean; readonly propagation: string | undefined } {
  let readOnly: boolean | undefined;
  let propagation: string | undefined;
  let copyUp = true;
  for (const word of text === "" ? [] : text.split(",")) {
    if (word === "ro" || word === "rw") {
      if (readOnly !== undefined) throw new SlipwayError("invalid", `invalid mode: ${text}`);
      readOnly = word === "ro";
    } else if (PROPAGATIONS.includes(word)) {
      if (propagation !== undefined) throw new SlipwayError("invalid", `invalid mode: ${text}`);
      propagation = word;
    } else if (word === "nocopy") copyUp = false;
    // Labels of SELinux and consistency of other systems: accepted, nothing to do here.
    else if (!["z", "Z", "consistent", "cached", "delegated", "default"].includes(word)) {
      throw new SlipwayError("invalid", `invalid mode: ${text}`, { hint: `'${word}' in '${spec}' is not known.` });
    }
  }
  return { readOnly: readOnly ?? false, copyUp, propagation };
}

function checkDestination(spec: string, path: string): string {
  if (path === "") throw invalidSpec(spec, "empty section between colons");
  if (!posix.isAbsolute(path)) {
    throw new SlipwayError(
      "invalid",
      `invalid volume specification: '${spec}': invalid mount path: '${path}' mount path must be absolute`,
    );
  }
  const normal = posix.normalize(path).replace(/(.)\/$/, "$1");
  if (normal === "/") throw invalidSpec(spec, "invalid specification: destination can't be '/'");
  if (path.includes("\0")) throw invalidSpec(spec, "a path cannot contain NUL");
  return normal;
}

function invalidSpec(spec: string, why: string): SlipwayError {
  return new SlipwayError("invalid", `invalid volume specification: '${spec}': ${why}`);
}

/** Reads one element of `Mounts`, as `--mount` gives it. Throws `invalid`. */
export function parseMountPoint(mount: MountPoint): MountRequest {
  const refuse = (why: string) => new SlipwayError("invalid", `invalid mount config for type "${mount.Type}": ${why}`);
  if (mount.Target === undefined || mount.Target === "") throw refuse("field Target must not be empty");
  if (!posix.isAbsolute(mount.Target) || mount.Target.includes("\0")) {
    throw refuse(`invalid mount path: '${mount.Target}' mount path must be absolute`);
  }
  const destination = posix.normalize(mount.Target).replace(/(.)\/$/, "$1");
  if (destination === "/") throw refuse("invalid specification: destination can't be '/'");
  const readOnly = mount.ReadOnly ?? false;
  switch (mount.Type) {
    case "bind":
      return { ...bindOf(mount, refuse), destination, readOnly };
    case "volume":
      return { ...volumeOf(mount, destination, refuse), readOnly, mode: readOnly ? "ro" : "z" };
    case "tmpfs":
      if ((mount.Source ?? "") !== "") throw refuse("field Source must not be specified");
      return { kind: "tmpfs", destination, readOnly, options: tmpfsOptions(mount.TmpfsOptions ?? {}, refuse) };
    case "image":
      return { ...imageOf(mount, refuse), destination };
    default:
      throw new SlipwayError("invalid", `mount type unknown: "${String(mount.Type)}"`, {
        hint: "Use bind, volume, tmpfs or image.",
      });
  }
}

type Refuse = (why: string) => SlipwayError;

function bindOf(mount: MountPoint, refuse: Refuse): Omit<MountRequest & { kind: "bind" }, "destination" | "readOnly"> {
  const source = mount.Source ?? "";
  if (source === "") throw refuse("field Source must not be empty");
  if (!posix.isAbsolute(source) || source.includes("\0")) {
    throw refuse(`invalid mount path: '${source}' mount path must be absolute`);
  }
  if (mount.VolumeOptions !== undefined) throw refuse("field VolumeOptions must not be specified");
  const propagation = mount.BindOptions?.Propagation || "rprivate";
  if (!PROPAGATIONS.includes(propagation)) throw refuse(`invalid propagation mode: ${propagation}`);
  return {
    kind: "bind",
    source: posix.normalize(source).replace(/(.)\/$/, "$1"),
    mode: "",
    propagation,
    recursive: mount.BindOptions?.NonRecursive !== true,
    createSource: mount.BindOptions?.CreateMountpoint === true,
    ...recursionOf(mount, propagation, refuse),
  };
}

function recursionOf(
  mount: MountPoint,
  propagation: string,
  refuse: Refuse,
): { readonly recursiveReadOnly?: "forced" | "never" } {
  const { NonRecursive, ReadOnlyNonRecursive, ReadOnlyForceRecursive } = mount.BindOptions ?? {};
  if (ReadOnlyNonRecursive === true) {
    if (mount.ReadOnly !== true) throw refuse("mount source must be read-only for ReadOnlyNonRecursive");
    if (ReadOnlyForceRecursive === true) {
      throw refuse("ReadOnlyForceRecursive and ReadOnlyNonRecursive are mutually exclusive");
    }
    return { recursiveReadOnly: "never" };
  }
  if (ReadOnlyForceRecursive !== true) return {};
  if (mount.ReadOnly !== true) throw refuse("mount source must be read-only for ReadOnlyForceRecursive");
  if (NonRecursive === true) throw refuse("ReadOnlyForceRecursive conflicts with NonRecursive");
  if (propagation !== "rprivate") throw refuse("ReadOnlyForceRecursive requires Propagation to be rprivate");
  return { recursiveReadOnly: "forced" };
}

function imageOf(mount: MountPoint, refuse: Refuse): Omit<MountRequest & { kind: "image" }, "destination"> {
  const image = mount.Source ?? "";
  if (image === "") throw refuse("field Source must not be empty");
  for (const field of ["BindOptions", "VolumeOptions", "TmpfsOptions"] as const) {
    if (mount[field] !== undefined) throw refuse(`field ${field} must not be specified`);
  }
  const subpath = mount.ImageOptions?.Subpath ?? "";
  checkSubpath(subpath, "image", refuse);
  return { kind: "image", image, readOnly: true, ...(subpath === "" ? {} : { subpath }) };
}

function checkSubpath(subpath: string, what: string, refuse: Refuse): void {
  if (posix.isAbsolute(subpath) || posix.normalize(subpath).split("/")[0] === ".." || subpath.includes("\0")) {
    throw refuse(`subpath must be a relative path within the ${what}`);
  }
}

function volumeOf(mount: MountPoint, destination: string, refuse: Refuse): MountRequest & { kind: "volume" } {
  if (mount.BindOptions !== undefined) throw refuse("field BindOptions must not be specified");
  const name = mount.Source === "" ? undefined : mount.Source;
  if (name !== undefined) checkVolumeName(name);
  const options = mount.VolumeOptions;
  const subpath = options?.Subpath;
  if (subpath !== undefined && subpath !== "") {
    if (name === undefined) throw refuse("must not set Subpath when using anonymous volumes");
    checkSubpath(subpath, "volume", refuse);
  }
  return {
    ...anonymousVolume(destination),
    name,
    copyUp: options?.NoCopy !== true,
    labels: options?.Labels ?? {},
    driver: options?.DriverConfig?.Name || "local",
    options: options?.DriverConfig?.Options ?? {},
    ...(subpath ? { subpath } : {}),
  };
}

function tmpfsOptions(options: NonNullable<MountPoint["TmpfsOptions"]>, refuse: Refuse): string[] {
  const { SizeBytes: size, Mode: mode } = options;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) throw refuse(`invalid tmpfs size: ${size}`);
  if (mode !== undefined && (!Number.isInteger(mode) || mode < 0 || mode > 0o7777)) {
    throw refuse(`invalid tmpfs mode: ${mode}`);
  }
  return [
    ...(size ? [`size=${size}`] : []),
    // Docker's API sends the permission bits as a plain number.
    ...(mode ? [`mode=${mode.toString(8)}`] : []),
    ...(options.Options ?? []).map((pair) => {
      const word = pair.join("=");
      if (pair.length < 1 || pair.length > 2 || !isTmpfsOption(word)) throw refuse(`invalid tmpfs option "${word}"`);
      return word;
    }),
  ];
}

function isTmpfsOption(word: string): boolean {
  return TMPFS_FLAGS.includes(word) || PROPAGATIONS.includes(word) || TMPFS_VALUES.test(word);
}

const TMPFS_FLAGS = [
  "ro",
  "rw",
  "exec",
  "noexec",
  "suid",
  "nosuid",
  "dev",
  "nodev",
  "sync",
  "async",
  "atime",
  "noatime",
];
const TMPFS_VALUES = /^(size|mode|uid|gid|nr_inodes|nr_blocks|mpol)=[^,\s]+$/;

/** One entry of `Tmpfs`: a destination and mount options. Throws `invalid` for options that tmpfs does not have. */
export function parseTmpfs(destination: string, text: string): MountRequest {
  const path = checkDestination(destination, destination);
  const words = text === "" ? [] : text.split(",");
  for (const word of words) {
    if (isTmpfsOption(word)) continue;
    throw new SlipwayError("invalid", `invalid tmpfs option "${word}"`, {
      hint: `Known: ${TMPFS_FLAGS.join(", ")}, size=, mode=, uid=, gid=, nr_inodes=.`,
    });
  }
  return {
    kind: "tmpfs",
    destination: path,
    readOnly: words.includes("ro"),
    options: words.filter((word) => word !== "ro"),
    fromMap: true,
  };
}

/** `VolumeDriver` is for the volumes of `Binds`; each of `Mounts` names its own. */
function withDriver(request: MountRequest, driver: string | undefined): MountRequest {
  return request.kind === "volume" && driver ? { ...request, driver } : request;
}

/** All mounts that a container asks for itself, checked against each other. Throws `invalid`. */
export function requestedMounts(hostConfig: HostConfig): MountRequest[] {
  const requests = [
    ...(hostConfig.Binds ?? []).map(parseBind).map((request) => withDriver(request, hostConfig.VolumeDriver)),
    ...(hostConfig.Mounts ?? []).map(parseMountPoint),
    ...Object.entries(hostConfig.Tmpfs ?? {}).map(([path, options]) => parseTmpfs(path, options)),
  ];
  const seen = new Set<string>();
  for (const { destination } of requests) {
    if (seen.has(destination)) throw new SlipwayError("invalid", `Duplicate mount point: ${destination}`);
    seen.add(destination);
  }
  return requests;
}
