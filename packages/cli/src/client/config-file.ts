import { ExitError } from "../errors.ts";
import type { TlsFiles } from "./host.ts";

/** Docker's own `config.json`, as far as this client reads it. */
export interface ConfigFile {
  readonly currentContext?: string;
  readonly HttpHeaders?: Readonly<Record<string, string>>;
  readonly detachKeys?: string;
  readonly psFormat?: string;
  readonly statsFormat?: string;
  readonly imagesFormat?: string;
  readonly networksFormat?: string;
  readonly volumesFormat?: string;
  readonly cliPluginsExtraDirs?: readonly string[];
  readonly pruneFilters?: readonly string[];
  readonly proxies?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The folder of Docker's client files: `--config`, `DOCKER_CONFIG`, or `~/.docker`. */
export function configDirectory(flag: string, env: Readonly<Record<string, string | undefined>>): string {
  if (flag !== "") return flag;
  return env.DOCKER_CONFIG || `${env.HOME || "/root"}/.docker`;
}

/** A missing file is an empty one. Throws `ExitError` when it is not JSON. */
export async function readConfigFile(directory: string): Promise<ConfigFile> {
  const path = `${directory}/config.json`;
  const text = await readText(path);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as ConfigFile) : {};
  } catch (error) {
    throw new ExitError(1, `${path} is not JSON: ${(error as Error).message}`, "Repair it or move it away.");
  }
}

export interface ContextEndpoint {
  readonly host: string;
  readonly tls?: TlsFiles;
}

/** The engine that a context of Docker's names. Throws `ExitError` when there is no such context. */
export async function readContext(directory: string, name: string): Promise<ContextEndpoint> {
  const id = new Bun.CryptoHasher("sha256").update(name).digest("hex");
  const text = await readText(`${directory}/contexts/meta/${id}/meta.json`);
  if (text === undefined) {
    throw new ExitError(
      1,
      `context "${name}": context not found`,
      "Contexts are kept in ~/.docker/contexts; choose one with --context, or unset DOCKER_CONTEXT.",
    );
  }
  const meta = JSON.parse(text) as { Endpoints?: { docker?: { Host?: string; SkipTLSVerify?: boolean } } };
  const endpoint = meta.Endpoints?.docker;
  if (endpoint?.Host === undefined) throw new ExitError(1, `context "${name}" names no docker endpoint`);
  const tls = await contextTls(`${directory}/contexts/tls/${id}/docker`, endpoint.SkipTLSVerify === true);
  return { host: endpoint.Host, ...(tls === undefined ? {} : { tls }) };
}

async function contextTls(folder: string, skipVerify: boolean): Promise<TlsFiles | undefined> {
  const paths = { ca: `${folder}/ca.pem`, cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
  const existing: Record<string, string> = {};
  for (const [name, path] of Object.entries(paths)) if (await Bun.file(path).exists()) existing[name] = path;
  if (Object.keys(existing).length === 0 && !skipVerify) return undefined;
  return { ...existing, verify: !skipVerify };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT" || (error as { code?: unknown }).code === "ENOTDIR")
      return undefined;
    throw new ExitError(1, `cannot read ${path}: ${(error as Error).message}`);
  }
}
