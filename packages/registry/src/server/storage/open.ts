import { resolve } from "node:path";
import { SlipwayError } from "@slipway/base";
import { Bucket } from "./bucket.ts";
import type { Storage } from "./contents.ts";
import { openFileStorage } from "./open-files.ts";
import { S3Contents } from "./s3-contents.ts";
import { S3Records } from "./s3-records.ts";

/**
 * Opens the storage that `place` names: a folder, or `s3://bucket/prefix?endpoint=URL&region=NAME&style=path|virtual`.
 * Who serves a folder opens it as `exclusive`. Keys of a bucket come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Throws `invalid`, `conflict`, `unavailable`.
 */
export async function openRegistryStorage(
  place: string,
  options: { readonly exclusive?: boolean } = {},
): Promise<Storage> {
  if (!place.startsWith("s3://")) {
    const folder = resolve(place.replace(/^file:\/\//, ""));
    return { ...(await openFileStorage(folder, options)), place: folder };
  }
  const url = new URL(place);
  const known = ["endpoint", "region", "style"];
  const unknown = [...url.searchParams.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined || url.hostname === "") {
    throw new SlipwayError("invalid", `cannot read the storage '${place}'`, {
      hint: "Give s3://bucket/prefix?endpoint=https://host&region=name&style=path",
    });
  }
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  const endpoint = url.searchParams.get("endpoint");
  const region = url.searchParams.get("region");
  const bucket = new Bucket({
    bucket: url.hostname,
    prefix: path === "" ? "" : `${decodeURIComponent(path)}/`,
    ...(endpoint !== null && { endpoint }),
    ...keysOf(process.env),
    region: region ?? process.env.AWS_REGION ?? "us-east-1",
    ...(url.searchParams.get("style") === "virtual" && { virtualHostedStyle: true }),
  });
  const records = new S3Records(bucket);
  // A wrong name or key is told at the start, not with the first push.
  await records.ping();
  return { records, contents: new S3Contents(bucket), hasFiles: false, place, close: async () => {} };
}

function keysOf(env: Readonly<Record<string, string | undefined>>) {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey) {
    throw new SlipwayError("invalid", "the keys of the bucket are not known", {
      hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    });
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}
