/** Writes the base image, a `docker save` archive made of Debian's busybox-static: `bun scripts/base-image.ts FILE`. */
import { writeFileSync } from "node:fs";
import { baseImageArchive } from "@slipway/testkit";

const file = process.argv[2];
if (file === undefined) {
  console.error("usage: bun scripts/base-image.ts FILE");
  process.exit(2);
}
writeFileSync(file, baseImageArchive());
