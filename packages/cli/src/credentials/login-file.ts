import { ExitError } from "../errors.ts";

export interface AuthEntry {
  /** `user:password` as base64. */
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

export interface CredentialsConfig {
  readonly auths: Readonly<Record<string, AuthEntry>>;
  readonly credsStore: string | undefined;
  readonly credHelpers: Readonly<Record<string, string>>;
}

export async function readCredentials(directory: string): Promise<CredentialsConfig> {
  const { auths, credsStore, credHelpers } = await readWhole(directory);
  return {
    auths: isRecord(auths) ? (auths as Record<string, AuthEntry>) : {},
    credsStore: typeof credsStore === "string" && credsStore !== "" ? credsStore : undefined,
    credHelpers: isRecord(credHelpers) ? (credHelpers as Record<string, string>) : {},
  };
}

/** Replaces the logins and leaves everything else in the file as it is. Only its owner can read it. Returns its path. */
export async function writeCredentials(directory: string, auths: Readonly<Record<string, AuthEntry>>): Promise<string> {
  const path = `${directory}/config.json`;
  const config = { ...(await readWhole(directory)), auths };
  const { writeFileAtomic } = await import("@slipway/base");
  const { mkdir, realpath } = await import("node:fs/promises");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Some keep the file elsewhere and link to it.
  const place = await realpath(path).catch(() => path);
  writeFileAtomic(place, `${JSON.stringify(config, null, "\t")}\n`, { mode: 0o600 });
  return path;
}

async function readWhole(directory: string): Promise<Record<string, unknown>> {
  const path = `${directory}/config.json`;
  const file = Bun.file(path);
  if (!(await file.exists())) return {};
  try {
    const value: unknown = JSON.parse((await file.text()) || "{}");
    if (isRecord(value)) return value;
  } catch {
    // Told below.
  }
  throw new ExitError(1, `${path} is not JSON`, "Repair it or move it away.");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
