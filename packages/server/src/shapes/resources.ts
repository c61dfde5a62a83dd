import type { Volume } from "../backend.ts";
import { timestamp } from "./time.ts";

type Document = Record<string, unknown>;

export function volumeDocument(volume: Volume): Document {
  const hasOptions = Object.keys(volume.options).length > 0;
  const labels = volume.anonymous ? { "com.docker.volume.anonymous": "", ...volume.labels } : volume.labels;
  return {
    // Whole seconds, as Docker has them here.
    CreatedAt: timestamp(volume.created).replace(/\.\d+(?=Z$)/, ""),
    Driver: volume.driver,
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: hasOptions ? volume.options : null,
    Scope: "local",
  };
}
