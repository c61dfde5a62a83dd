import type { Session } from "../session.ts";
import { checkCgroups } from "./cgroups.ts";
import { checkClock } from "./clock.ts";
import { checkDisk } from "./disk.ts";
import { checkEngine } from "./engine.ts";
import { type Finding, fail, warn } from "./finding.ts";
import { checkKernel } from "./kernel.ts";
import { Machine } from "./machine.ts";
import { checkNames } from "./names.ts";
import { checkBuildHelpers, checkFirewall, checkRuntime } from "./programs.ts";

const DEFAULT_DATA_ROOT = "/var/lib/slipway";

/** Everything that containers and builds need of this machine, looked at side by side. A look that breaks is a finding too. */
export async function examine(session: Session): Promise<Finding[]> {
  const machine = new Machine();
  const isRoot = process.geteuid?.() === 0;
  const { finding: engine, dataRoot } = await checkEngine(session.withoutStart());
  const looks: Record<string, () => Finding[] | Promise<Finding[]>> = {
    user: () => privileges(isRoot),
    kernel: () => checkKernel(machine),
    cgroups: () => checkCgroups(machine),
    runtime: () => checkRuntime(machine),
    firewall: () => checkFirewall(machine, isRoot),
    DNS: () => checkNames(machine),
    disk: () => checkDisk(dataRoot ?? DEFAULT_DATA_ROOT, isRoot),
    clock: () => [checkClock(machine)],
    git: () => checkBuildHelpers(machine),
  };
  const findings = await Promise.all(Object.entries(looks).map(([subject, look]) => guarded(subject, look)));
  return [...findings.flat(), engine];
}

function privileges(isRoot: boolean): Finding[] {
  if (isRoot) return [];
  return [warn("user", "not root: firewall and disk are looked at only in part", "sudo slipway doctor")];
}

async function guarded(subject: string, look: () => Finding[] | Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(subject, `could not be looked at: ${(error as Error).message}`, "Please report this.")];
  }
}
