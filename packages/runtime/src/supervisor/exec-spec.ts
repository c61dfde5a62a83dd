import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chooseCapabilities } from "../capabilities.ts";
import type { ExecRequest } from "../faces.ts";
import { boundingSet, capabilitySets } from "../spec.ts";
import type { RuntimeSpec, SpecProcess } from "../spec-document.ts";

/** The process of an exec: what the container's own may do, unless it is privileged. */
export function execProcessSpec(request: ExecRequest, bundle: string): SpecProcess {
  const container = (JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as RuntimeSpec).process;
  const capabilities = request.privileged
    ? capabilitySets(chooseCapabilities({ privileged: true, capAdd: [], capDrop: [], available: boundingSet() }))
    : container.capabilities;
  const { uid, gid, additionalGids } = request.user;
  return {
    terminal: request.terminal,
    user: { uid, gid, additionalGids },
    args: request.args,
    env: request.env,
    cwd: request.cwd || container.cwd,
    capabilities,
    rlimits: container.rlimits,
    noNewPrivileges: container.noNewPrivileges,
    ...(container.apparmorProfile === undefined || request.privileged
      ? {}
      : { apparmorProfile: container.apparmorProfile }),
  };
}
