import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chooseCapabilities } from "../capabilities.ts";
import { writeSpec } from "../config-file.ts";
import type { ExecRequest } from "../faces.ts";
import { boundingSet, capabilitySets } from "../spec.ts";
import type { RuntimeSpec, SpecProcess } from "../spec-document.ts";

interface Size {
  readonly rows: number;
  readonly columns: number;
}

function consoleSizeOf(size: Size | undefined): Pick<SpecProcess, "consoleSize"> {
  return size === undefined ? {} : { consoleSize: { height: size.rows, width: size.columns } };
}

/**
 * Writes a terminal's size into a bundle: the runtime sets it before the program runs, we could only afterwards, too late
 * for one that asks at once.
 */
export function writeConsoleSize(bundle: string, size: Size): void {
  const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as RuntimeSpec;
  writeSpec(bundle, { ...spec, process: { ...spec.process, ...consoleSizeOf(size) } });
}

/** The process of an exec: what the container's own may do, unless it is privileged. */
export function execProcessSpec(request: ExecRequest, bundle: string): SpecProcess {
  const container = (JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as RuntimeSpec).process;
  const capabilities = request.privileged
    ? capabilitySets(chooseCapabilities({ privileged: true, capAdd: [], capDrop: [], available: boundingSet() }))
    : container.capabilities;
  const { uid, gid, additionalGids } = request.user;
  return {
    terminal: request.terminal,
    ...(request.terminal ? consoleSizeOf(request.consoleSize) : {}),
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
