import { mkdirSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { Mount, Namespace } from "@slipway/runtime";
import { MS, mount } from "@slipway/sys";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { runningContainer } from "../networks/container-connection.ts";
import { namespaceOf } from "./container-spec.ts";

/** The namespace of another container's process. Throws `conflict` when it does not run. */
export function joined(context: ContainerContext, name: string, kind: "pid" | "ipc"): Namespace {
  return { path: `/proc/${runningContainer(context, name, kind).state.pid}/ns/${kind}` };
}

/**
 * The IPC namespace and the shared memory that goes with it. Who is shareable has its /dev/shm on a mount of the host's
 * too, in the bundle, from where others bind it; nobody can bind what is mounted in another mount namespace. Throws
 * `invalid` for a donor that does not share.
 */
export function prepareIpc(
  context: ContainerContext,
  entry: ContainerEntry,
): { readonly namespace: Namespace; readonly mounts: readonly Mount[]; readonly none: boolean } {
  const { IpcMode: mode = "private", ShmSize: size = 0 } = entry.definition.hostConfig;
  const namespace = namespaceOf(mode, (name) => joined(context, name, "ipc"));
  if (mode === "shareable") {
    const place = context.paths.sharedMemory(entry.id);
    mkdirSync(place, { recursive: true, mode: 0o700 });
    mount("shm", place, "tmpfs", MS.NOSUID | MS.NODEV | MS.NOEXEC, `mode=1777,size=${size}`);
    return { namespace, mounts: [sharedMemory(place)], none: false };
  }
  if (!mode.startsWith("container:")) return { namespace, mounts: [], none: mode === "none" };
  const donor = context.index.resolve(mode.slice("container:".length));
  const donorMode = donor.definition.hostConfig.IpcMode;
  if (donorMode === "host") return { namespace, mounts: [sharedMemory("/dev/shm")], none: false };
  if (donorMode?.startsWith("container:")) {
    const first = context.index.resolve(donorMode.slice("container:".length));
    return { namespace, mounts: [sharedMemory(context.paths.sharedMemory(first.id))], none: false };
  }
  if (donorMode !== "shareable") {
    throw new SlipwayError(
      "invalid",
      `cannot join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      { hint: `Create ${donor.name} with --ipc shareable.` },
    );
  }
  return { namespace, mounts: [sharedMemory(context.paths.sharedMemory(donor.id))], none: false };
}

function sharedMemory(source: string): Mount {
  return {
    type: "bind",
    source,
    target: "/dev/shm",
    options: ["rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"],
  };
}
