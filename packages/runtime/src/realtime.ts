import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SlipwayError } from "@slipway/base";

/**
 * Lets a container's cgroup have real-time: a new group of version 1 has none, and no group can have more than the one
 * above it. The groups between root and container are given what the root has. Throws `unavailable` when others have it.
 */
export function allowRealtime(cgroupsPath: string, root = "/sys/fs/cgroup"): void {
  const top = join(root, "cpu");
  const runtime = join(top, "cpu.rt_runtime_us");
  if (!existsSync(runtime)) return;
  const most = readFileSync(runtime, "latin1").trim();
  let directory = top;
  for (const name of dirname(cgroupsPath).split("/").filter(Boolean)) {
    directory = join(directory, name);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const file = join(directory, "cpu.rt_runtime_us");
    if (existsSync(file) && Number(readFileSync(file, "latin1")) !== 0) continue;
    try {
      writeFileSync(file, most);
    } catch (error) {
      throw new SlipwayError("unavailable", `the cgroup ${directory} cannot be given real-time: other groups have it`, {
        hint: "Look for other groups below /sys/fs/cgroup/cpu with a cpu.rt_runtime_us above 0.",
        cause: error,
      });
    }
  }
}
