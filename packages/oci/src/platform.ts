import { type JsonReader, SlipwayError } from "@slipway/base";

/** What an image runs on (OCI image specification 1.1, image-index.md, "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  x64: ["amd64"],
  amd64: ["amd64"],
  aarch64: ["arm64"],
  arm64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
  i386: ["386"],
  i686: ["386"],
  ia32: ["386"],
};

export function readPlatform(reader: JsonReader): Platform {
  const variant = reader.field("variant").optionalString();
  const osVersion = reader.field("os.version").optionalString();
  return {
    os: reader.field("os").string(),
    architecture: reader.field("architecture").string(),
    ...(variant ? { variant } : {}),
    ...(osVersion ? { osVersion } : {}),
  };
}

/** `os/architecture[/variant]`, or only one of os and architecture, normalised as containerd does. Throws `invalid`. */
export function parsePlatform(text: string): Platform {
  const parts = text.trim().toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new SlipwayError("invalid", `invalid platform '${text}'`, {
      hint: "Write os/architecture, such as linux/amd64.",
    });
  }
  const [first = "", second, third] = parts;
  if (second === undefined) {
    const known = ARCHITECTURES[first];
    if (known) return normal("linux", known[0], known[1]);
    return { ...hostPlatform(), os: first };
  }
  return normal(first, second, third);
}

function normal(os: string, name: string, variant: string | undefined): Platform {
  const [architecture, implied] = ARCHITECTURES[name] ?? [name];
  const chosen = variant ?? implied;
  // arm64/v8 and amd64/v1 are what the bare names mean.
  const redundant = (architecture === "arm64" && chosen === "v8") || (architecture === "amd64" && chosen === "v1");
  return { os, architecture, ...(chosen && !redundant ? { variant: chosen } : {}) };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/");
}

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return normal("linux", process.arch, undefined);
}

/** Whether an image made for `offered` serves a request for `wanted`. */
export function platformMatches(wanted: Platform, offered: Platform): boolean {
  return (
    wanted.os === offered.os &&
    wanted.architecture === offered.architecture &&
    (wanted.variant ?? "") === (normal(offered.os, offered.architecture, offered.variant).variant ?? "")
  );
}
