/**
 * When run by itself: builds without end in the directory that is its first argument, until it is killed. Each round has
 * a step that is new, copies that are new, and a cache mount.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE, Testbed } from "./testbed.test.ts";

const root = process.argv[2];
if (import.meta.main && root !== undefined) {
  const bed = await Testbed.open(root);
  const context = bed.directory("crash", { "d/a": "a", "d/b": "b" });
  console.log("ready");
  for (let round = 0; ; round++) {
    writeFileSync(join(context, "d/a"), `${process.pid} ${round}`);
    await bed.build(
      context,
      `FROM ${BASE} AS one\nCOPY d /d\nRUN --mount=type=cache,target=/c --mount=target=/ctx dd if=/dev/zero of=/big bs=64k count=20; cp /d/a /c/; sleep 0.0${round % 7}\n` +
        `FROM ${BASE}\nCOPY --from=one /d /d\nCOPY --from=one /big /big\nRUN echo ${round} > /round\n`,
      { tags: [`crash:${round % 3}`] },
    );
  }
}
