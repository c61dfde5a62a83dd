import { ExitError } from "../errors.ts";
import type { TlsFiles } from "./host.ts";

/** Docker's own `config.json`, as far as this client reads it. */
export interface ConfigFile {
  readonly currentContext?: string;
  readonly HttpHeaders?: Texts;
  readonly detachKeys?: string;
  readonly psFormat?: string;
  readonly statsFormat?: string;
  readonly imagesFormat?: string;
  readonly networksFormat?: string;
  readonly volumesFormat?: string;
  readonly cliPluginsExtraDirs?: readonly string[];
  readonly pruneFilters?: readonly string[];
  /** By address of the engine, or `default`. */
  readonly proxies?: Readonly<Record<string, Texts>>;
}

type Texts = Readonly<Record<string, string>>;

const isText = (value: unknown): value is string => typeof value === "string";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is Texts => isObject(value) && Object.values(value).every(isText);

interface Kind {
  readonly words: string;
  readonly fits: (value: unknown) => boolean;
}

const TEXT: Kind = { words: "a string", fits: isText };
const LIST: Kind = { words: "a list of strings", fits: (value) => Array.isArray(value) && value.every(isText) };
const TEXTS: Kind = { words: "an object of strings", fits: isTexts };
const PROXIES: Kind = {
  words: "an object with an object of strings for each engine",
  fits: (value) => isObject(value) && Object.values(value).every(isTexts),
};

const KINDS: { readonly [Name in keyof ConfigFile]-?: Kind } = {
  ...{ currentContext: TEXT, detachKeys: TEXT, psFormat: TEXT, statsFormat: TEXT, imagesFormat: TEXT },
  ...{ networksFormat: TEXT, volumesFormat: TEXT, cliPluginsExtraDirs: LIST, pruneFilters: LIST },
  ...{ HttpHeaders: TEXTS, proxies: PROXIES },
};

/** The folder of Docker's client files: `--config`, `DOCKER_CONFIG`, or `~/.docker`. */
export function configDirectory(flag: string, env: Readonly<Record<string, string | undefined>>): string {
  if (flag !== "") return flag;
  return env.DOCKER_CONFIG || `${env.HOME || "/root"}/.docker`;
}

export interface ReadConfig {
  readonly config: ConfigFile;
  /** What is wrong with the file, each with its place; what is wrong counts as absent. */
  readonly problems: readonly string[];
}

/** A missing file is an empty one. Throws `ExitError` when it cannot be read. */
export async function readConfigFile(directory: string): Promise<ReadConfig> {
  const path = `${directory}/config.json`;
  const text = await readText(path);
  if (text === undefined || text.trim() === "") return { config: {}, problems: [] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const { findMistake } = await import("./json-mistake.ts");
    const { line, column, reason } = findMistake(text) ?? { line: 1, column: 1, reason: (error as Error).message };
    return { config: {}, problems: [`${path}:${line}:${column}: ${reason}`] };
  }
  if (!isObject(value)) return { config: {}, problems: [`${path}:1: it must hold an object: {...}`] };
  const config: Record<string, unknown> = { ...value };
  const problems: string[] = [];
  for (const [name, kind] of Object.entries(KINDS)) {
    if (config[name] === undefined || config[name] === null || kind.fits(config[name])) continue;
    delete config[name];
    const line = text.slice(0, Math.max(text.indexOf(JSON.stringify(name)), 0)).split("\n").length;
    problems.push(`${path}:${line}: ${name} must be ${kind.words}`);
  }
  return { config: config as ConfigFile, problems };
}

/** Before the file is changed: one with mistakes is not overwritten. Throws `ExitError`. */
export async function requireGoodConfig(directory: string): Promise<void> {
  const { problems } = await readConfigFile(directory);
  if (problems.length > 0) throw new ExitError(1, problems.join("\n"), "Repair the file or move it away.");
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
    const { ContextStore } = await import("./context-store.ts");
    const { nearest } = await import("@slipway/base");
    const known = nearest(name, ["default", ...new ContextStore(directory).all().map(({ Name }) => Name)]);
    const meant = known === undefined ? "" : `Did you mean '${known}'? `;
    throw new ExitError(
      1,
      `context "${name}": context not found`,
      `${meant}Contexts are kept in ~/.docker/contexts; choose one with --context, or unset DOCKER_CONTEXT.`,
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
