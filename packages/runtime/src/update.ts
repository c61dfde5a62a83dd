import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { updateBlockIo } from "./block-io-update.ts";
import type { Cgroup } from "./cgroup.ts";
import type { Resources } from "./faces.ts";
import { Runc } from "./runc.ts";
import { specResources } from "./spec-resources.ts";
import { SupervisorPaths } from "./supervisor/supervisor-paths.ts";

/** The limits of one container that is to have others. */
export interface UpdateRequest {
  readonly id: string;
  /** Of the running container; the request's file and the runtime's messages lie there meanwhile. */
  readonly bundle: string;
  /** What is undefined stays as it is. `pidsLimit` -1 takes the limit away. */
  readonly resources: Resources;
  /** The container's: the rates of block devices are written there, for `runc update` does not know them. */
  readonly cgroup: Cgroup;
}

/** Gives a running container other limits. Throws the runtime's own reason, as `details.reason` too. */
export async function updateContainer(execRoot: string, request: UpdateRequest): Promise<void> {
  const { devices: _, ...limits } = specResources(request.resources, []);
  const runc = new Runc(new SupervisorPaths(execRoot).runtime);
  const file = join(request.bundle, "update.json");
  const log = join(request.bundle, "update.log");
  // An older failure must not be taken for this one's.
  rmSync(log, { force: true });
  try {
    writeFileSync(file, JSON.stringify(limits), { mode: 0o600 });
    await runc.run(log, ["update", "--resources", file, request.id]);
    updateBlockIo(request.cgroup, request.resources);
  } finally {
    rmSync(file, { force: true });
    rmSync(log, { force: true });
  }
}
