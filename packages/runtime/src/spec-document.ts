import type { SeccompProfile } from "./seccomp.ts";

/** The parts of the OCI runtime specification 1.0.2 (config.json, config-linux.json) that we write. */
export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly process: SpecProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly SpecMount[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly cgroupsPath: string;
    readonly resources: SpecResources;
    readonly devices: readonly SpecDevice[];
    readonly sysctl: Readonly<Record<string, string>>;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly rootfsPropagation?: string;
    readonly seccomp?: SeccompProfile;
  };
}

export interface SpecProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: SpecCapabilities;
  readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
}

export interface SpecCapabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
}

export interface SpecMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface SpecDevice {
  readonly path: string;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly access: string;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
}

export interface SpecResources {
  readonly devices: readonly DeviceRule[];
  readonly memory?: Readonly<Record<string, number | boolean>>;
  readonly cpu?: Readonly<Record<string, number | string>>;
  readonly pids?: { readonly limit: number };
  readonly blockIO?: SpecBlockIo;
}

export interface SpecThrottle {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface SpecBlockIo {
  readonly weight?: number;
  readonly weightDevice?: readonly { readonly major: number; readonly minor: number; readonly weight: number }[];
  readonly throttleReadBpsDevice?: readonly SpecThrottle[];
  readonly throttleWriteBpsDevice?: readonly SpecThrottle[];
  readonly throttleReadIOPSDevice?: readonly SpecThrottle[];
  readonly throttleWriteIOPSDevice?: readonly SpecThrottle[];
}
