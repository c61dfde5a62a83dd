import { flag } from "../../grammar/flag.ts";

/** Where a registry keeps everything. */
export const STORAGE = flag.string("Folder, or s3://bucket/prefix?endpoint=URL&region=NAME, that keeps everything", {
  default: "/var/lib/slipway-registry",
});
