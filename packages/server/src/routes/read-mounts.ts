import { type JsonReader, SlipwayError } from "@slipway/base";
import type { MountPoint } from "@slipway/engine";
import { present } from "./present.ts";

const TYPES = ["bind", "volume", "tmpfs", "image"] as const;

/** `HostConfig.Mounts`. */
export function readMounts(reader: JsonReader): MountPoint[] | undefined {
  return reader.optional()?.array().map(readMount);
}

function readMount(reader: JsonReader): MountPoint {
  const name = reader.field("Type").string();
  const type = TYPES.find((candidate) => candidate === name);
  if (type === undefined)
    throw new SlipwayError("invalid", `invalid mount config: mount type '${name}' is not supported`);
  return {
    Type: type,
    Target: reader.field("Target").string(),
    ...present({
      Source: reader.field("Source").optionalString() || undefined,
      ReadOnly: reader.field("ReadOnly").optionalBoolean(),
      Consistency: reader.field("Consistency").optionalString(),
      BindOptions: bindOptions(reader.field("BindOptions")),
      VolumeOptions: volumeOptions(reader.field("VolumeOptions")),
      TmpfsOptions: tmpfsOptions(reader.field("TmpfsOptions")),
      ImageOptions: imageOptions(reader.field("ImageOptions")),
    }),
  };
}

function bindOptions(reader: JsonReader): MountPoint["BindOptions"] {
  if (reader.optional() === undefined) return undefined;
  return present({
    Propagation: reader.field("Propagation").optionalString(),
    NonRecursive: reader.field("NonRecursive").optionalBoolean(),
    CreateMountpoint: reader.field("CreateMountpoint").optionalBoolean(),
    ReadOnlyNonRecursive: reader.field("ReadOnlyNonRecursive").optionalBoolean(),
    ReadOnlyForceRecursive: reader.field("ReadOnlyForceRecursive").optionalBoolean(),
  });
}

function volumeOptions(reader: JsonReader): MountPoint["VolumeOptions"] {
  if (reader.optional() === undefined) return undefined;
  const driver = reader.field("DriverConfig").optional();
  return present({
    NoCopy: reader.field("NoCopy").optionalBoolean(),
    Labels: reader.field("Labels").optional()?.stringMap(),
    DriverConfig:
      driver &&
      present({
        Name: driver.field("Name").optionalString(),
        Options: driver.field("Options").optional()?.stringMap(),
      }),
    Subpath: reader.field("Subpath").optionalString(),
  });
}

function tmpfsOptions(reader: JsonReader): MountPoint["TmpfsOptions"] {
  if (reader.optional() === undefined) return undefined;
  return present({
    SizeBytes: reader.field("SizeBytes").optionalNumber(),
    Mode: reader.field("Mode").optionalNumber(),
    Options: reader
      .field("Options")
      .optional()
      ?.array()
      .map((pair) => pair.strings()),
  });
}

function imageOptions(reader: JsonReader): MountPoint["ImageOptions"] {
  if (reader.optional() === undefined) return undefined;
  return present({ Subpath: reader.field("Subpath").optionalString() || undefined });
}
