/** Runs containers: OCI runtime specifications, the runtime's driver, the supervisor and logs. It knows nothing of images. */
export { ALL_CAPABILITIES, checkCapability, chooseCapabilities, DEFAULT_CAPABILITIES } from "./capabilities.ts";
export { Cgroup, cgroupVersion } from "./cgroup.ts";
export { type CgroupAbilities, readCgroupAbilities } from "./cgroup-abilities.ts";
export { encodeSpec, writeSpec } from "./config-file.ts";
export type {
  BlockLimit,
  DefaultProcess,
  Device,
  ExecRequest,
  ExitRecord,
  KnownExec,
  LogOutput,
  LogPolicy,
  LogQuery,
  LogRecord,
  LogSource,
  Mount,
  Namespace,
  ProcessUser,
  Resources,
  SpecInput,
  StartRequest,
  StdioSession,
  StepRequest,
  Supervisor,
} from "./faces.ts";
export { installInit } from "./init/install-init.ts";
export { type InterfaceCounts, type InterfaceStats, interfacesOf } from "./interface-stats.ts";
export { readLogs } from "./logs/log-reader.ts";
export { allowRealtime } from "./realtime.ts";
export { findRuntime, Runc } from "./runc.ts";
export { type RuntimeFailure, readRuntimeLog, runtimeFailure } from "./runc-errors.ts";
export { defaultSeccompProfile, resolveSeccomp, type SeccompProfile } from "./seccomp.ts";
export { buildSpec, cgroupsPath } from "./spec.ts";
export { parseDeviceRule } from "./spec-devices.ts";
export type { RuntimeSpec } from "./spec-document.ts";
export { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from "./spec-mounts.ts";
export { type ContainerStats, readStats } from "./stats.ts";
export { removeSteps, runStep, type StepResult } from "./step.ts";
export { runSupervisor } from "./supervisor/main.ts";
export { connectSupervisor, SupervisorClient, type SupervisorClientOptions } from "./supervisor-client.ts";
export { type UpdateRequest, updateContainer } from "./update.ts";
export { resolveUser } from "./users.ts";
