import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import { type RunInstruction, type RunMount, resolveMount } from "@slipway/dockerfile";
import { type ExecMount, type ExecOperation, type Vertex, vertex } from "../graph.ts";
import { sourcePath } from "./copy-words.ts";
import { runHistory } from "./history.ts";
import type { Planner } from "./plan.ts";
import { MAIN_CONTEXT } from "./plan-request.ts";
import { aboutStep, commandArgs, epochOf, expandIn } from "./stage-instructions.ts";
import { type StageState, shellOf, workdirOf } from "./stage-state.ts";
import { writeEnv } from "./variables.ts";

/** Where a heredoc that is executed itself appears in the step. */
const SCRIPT_DIRECTORY = "/dev/pipes";

export function planRun(planner: Planner, state: StageState, instruction: RunInstruction): void {
  if (instruction.devices.length > 0) {
    throw new SlipwayError("not-implemented", "RUN --device is not built yet", { hint: "Remove --device." });
  }
  // A Dockerfile of somebody else must not take by itself what only the caller can give.
  if (instruction.network === "host" && planner.request.network !== "host") {
    throw new SlipwayError("forbidden", "RUN --network=host is not allowed", {
      hint: "Give the whole build the host's network: --network=host",
    });
  }
  const { program } = instruction;
  const script =
    program.form === "script" ? { name: program.name.replaceAll("/", "_"), content: program.content } : undefined;
  const args = program.form === "script" ? [`${SCRIPT_DIRECTORY}/${script?.name}`] : commandArgs(state, program);
  const inputs: Vertex[] = [state.root];
  state.sshMounts = 0;
  const mounts = instruction.mounts.map((flag) => {
    const mount = resolveMount(flag, (value) => expandIn(planner, state, value, instruction.range));
    return planMount(planner, state, { mount, inputs, range: instruction.range });
  });
  const operation: ExecOperation = {
    type: "exec",
    args,
    env: writeEnv(state.variables.env),
    buildArgs: state.variables.stepArgs(),
    cwd: workdirOf(state),
    user: state.config.User ?? "",
    network: instruction.network === "default" ? planner.request.network : instruction.network,
    security: instruction.security,
    extraHosts: planner.request.extraHosts,
    shmSize: planner.request.shmSize,
    ...(planner.request.ulimits.length > 0 && { ulimits: planner.request.ulimits }),
    mounts,
    ...(script !== undefined && { script }),
    ...epochOf(planner),
  };
  state.root = vertex(operation, inputs, aboutStep(planner, state, instruction));
  const historyArgs =
    script === undefined ? args : [...shellOf(state), `<<${script.name}\n${script.content}${script.name}`];
  state.history.push({ createdBy: runHistory(historyArgs, state.variables.shownArgs()), vertex: state.root });
}

interface MountInPlan {
  readonly mount: RunMount;
  readonly inputs: Vertex[];
  readonly range: RunInstruction["range"];
}

function planMount(planner: Planner, state: StageState, { mount, inputs, range }: MountInPlan): ExecMount {
  const below = (target: string) =>
    target.startsWith("/") ? posix.normalize(target) : posix.join(workdirOf(state), target);
  switch (mount.type) {
    case "bind": {
      const source = sourcePath(mount.source);
      const input = addInput(inputs, mountSource(planner, mount.from ?? MAIN_CONTEXT, source, range));
      return { type: "bind", target: below(mount.target), source, readonly: mount.readonly, input };
    }
    case "cache": {
      const { id, sharing, readonly, mode, uid, gid } = mount;
      const source = sourcePath(mount.source);
      const input =
        mount.from === undefined ? undefined : addInput(inputs, mountSource(planner, mount.from, source, range));
      const cacheId = planner.request.buildArgs.BUILDKIT_CACHE_MOUNT_NS;
      return {
        type: "cache",
        target: below(mount.target),
        id: cacheId === undefined ? id : `${cacheId}/${id}`,
        sharing,
        readonly,
        source,
        mode,
        uid,
        gid,
        ...(input !== undefined && { input }),
      };
    }
    case "tmpfs":
      return { type: "tmpfs", target: below(mount.target), ...(mount.size !== undefined && { size: mount.size }) };
    case "secret": {
      const { target, ...rest } = mount;
      planner.secretIds.add(mount.id);
      return { ...rest, ...(target !== undefined && { target: below(target) }) };
    }
    case "ssh": {
      const target = mount.target ?? `/run/buildkit/ssh_agent.${state.sshMounts}`;
      state.sshMounts++;
      return { ...mount, target: below(target) };
    }
  }
}

function mountSource(planner: Planner, from: string, source: string, range: RunInstruction["range"]): Vertex {
  if (from === MAIN_CONTEXT) return planner.context(MAIN_CONTEXT, source);
  const { vertex, isContext } = planner.reference(from, range);
  return isContext ? planner.context(from, source) : vertex;
}

function addInput(inputs: Vertex[], vertex: Vertex): number {
  const known = inputs.findIndex((other, index) => index > 0 && other.id === vertex.id);
  return known >= 0 ? known : inputs.push(vertex) - 1;
}
