import { resolve } from "node:path";
import { parseSize } from "@slipway/base";
import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "./environment.ts";

type Fields = Record<string, unknown>;

interface MountParts {
  readonly mount: Fields;
  readonly bind: Fields;
  readonly volume: Fields & {
    Labels?: Record<string, string>;
    DriverConfig?: { Name?: string; Options?: Record<string, string> };
  };
  readonly tmpfs: Fields;
  readonly image: Fields;
}

const KEYS = new Set([
  "readonly",
  "ro",
  "volume-nocopy",
  "bind-nonrecursive",
  "bind-create-src",
  "volume-opt",
  "bind-recursive",
]);

/**
 * Reads a value of `--mount`: `type=bind,source=/a,target=/b,readonly`. Returns the mount as the API takes it.
 * Throws an `Error` that names the key.
 */
export function parseMount(text: string): Fields {
  const parts: MountParts = { mount: { Type: "volume" }, bind: {}, volume: {}, tmpfs: {}, image: {} };
  for (const field of splitCsv(text)) setField(parts, field);
  const { mount } = parts;
  const type = String(mount.Type);
  if (mount.Target === undefined) throw new Error("target is required");
  const options = {
    bind: "BindOptions",
    volume: "VolumeOptions",
    tmpfs: "TmpfsOptions",
    image: "ImageOptions",
  } as const;
  for (const kind of ["bind", "volume", "tmpfs", "image"] as const) {
    if (Object.keys(parts[kind]).length === 0) continue;
    if (kind !== type) throw new Error(`cannot mix '${kind}-*' options with mount type '${type}'`);
    mount[options[kind]] = parts[kind];
  }
  return mount;
}

function setField(parts: MountParts, field: string): void {
  const [rawKey, value] = splitPair(field);
  const key = rawKey.toLowerCase();
  if (!field.includes("=") && !KEYS.has(key)) throw new Error(`invalid field '${field}' must be a key=value pair`);
  const { mount, bind, volume, tmpfs, image } = parts;
  const flag = () => booleanOf(field.includes("=") ? value : "true", key, value);
  switch (key) {
    case "type":
      mount.Type = value.toLowerCase();
      return;
    case "source":
    case "src":
      // A path may be relative to where we stand; a volume's name is no path.
      mount.Source = /^\.{1,2}(\/|$)/.test(value) ? resolve(value) : value;
      return;
    case "target":
    case "dst":
    case "destination":
      mount.Target = value;
      return;
    case "readonly":
    case "ro":
      mount.ReadOnly = flag();
      return;
    case "consistency":
      mount.Consistency = value.toLowerCase();
      return;
    case "bind-propagation":
      bind.Propagation = value.toLowerCase();
      return;
    case "bind-nonrecursive":
      bind.NonRecursive = flag();
      return;
    case "bind-recursive":
      setRecursive(bind, value);
      return;
    case "bind-create-src":
      bind.CreateMountpoint = flag();
      return;
    case "volume-subpath":
      volume.Subpath = value;
      return;
    case "image-subpath":
      image.Subpath = value;
      return;
    case "volume-nocopy":
      volume.NoCopy = flag();
      return;
    case "volume-label": {
      const [name, text] = splitPair(value);
      volume.Labels = { ...volume.Labels, [name]: text };
      return;
    }
    case "volume-driver":
      volume.DriverConfig = { ...volume.DriverConfig, Name: value };
      return;
    case "volume-opt": {
      const [name, text] = splitPair(value);
      volume.DriverConfig = { ...volume.DriverConfig, Options: { ...volume.DriverConfig?.Options, [name]: text } };
      return;
    }
    case "tmpfs-size":
      tmpfs.SizeBytes = parseSize(value);
      return;
    case "tmpfs-mode":
      if (!/^[0-7]{1,5}$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
      tmpfs.Mode = Number.parseInt(value, 8);
      return;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

function setRecursive(bind: Fields, value: string): void {
  switch (value) {
    case "enabled":
      return;
    case "disabled":
      bind.NonRecursive = true;
      return;
    case "writable":
      bind.ReadOnlyNonRecursive = true;
      return;
    case "readonly":
      bind.ReadOnlyForceRecursive = true;
      return;
    default:
      throw new Error(
        `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
  }
}

function booleanOf(text: string, key: string, shown: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new Error(`invalid value for ${key}: ${shown}`);
}

/** The values of `--volume`: with a source they are binds, without one the container gets a volume of its own. */
export function parseVolumes(values: readonly string[]): {
  binds: string[];
  volumes: Record<string, Record<string, never>>;
} {
  const binds: string[] = [];
  const volumes: Record<string, Record<string, never>> = {};
  for (const value of values) {
    const parts = value.split(":");
    if (parts.length > 3 || parts.some((part, index) => part === "" && index < 2)) {
      throw new Error(`invalid volume specification: '${value}'`);
    }
    const [source = "", ...rest] = parts;
    if (rest.length === 0) {
      if (source === "/") throw new Error("invalid volume specification: destination can't be '/'");
      volumes[source] = {};
    } else {
      binds.push([/^\.{1,2}(\/|$)/.test(source) ? resolve(source) : source, ...rest].join(":"));
    }
  }
  return { binds, volumes };
}
