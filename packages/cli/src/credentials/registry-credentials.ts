import { ExitError } from "../errors.ts";
import { eraseFromHelper, getFromHelper, listHelper, storeInHelper } from "./helper.ts";
import { type AuthEntry, type CredentialsConfig, readCredentials, writeCredentials } from "./login-file.ts";

/** Docker Hub's name in Docker's configuration file. */
export const HUB = "https://index.docker.io/v1/";

/** Who the user is to a registry. */
export interface Login {
  readonly username: string;
  readonly password: string;
  readonly identityToken?: string;
}

/** The user's logins where Docker keeps them: in helper programs, or in `config.json`. */
export class RegistryCredentials {
  readonly #directory: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(directory: string, env: Readonly<Record<string, string | undefined>>) {
    this.#directory = directory;
    this.#env = env;
  }

  /** The login for a registry's key (`HUB`, `localhost:5000`), or undefined. */
  async get(key: string): Promise<Login | undefined> {
    const config = await readCredentials(this.#directory);
    return await this.#get(config, key);
  }

  /** Keeps a login. Returns the file's path when it is kept in it, readable for whoever can read the file. */
  async store(key: string, login: Login): Promise<string | undefined> {
    const config = await readCredentials(this.#directory);
    const helper = helperFor(config, key);
    if (helper !== undefined) {
      await storeInHelper(helper, key, login, this.#env);
      // The file only says that there is something.
      await writeCredentials(this.#directory, { ...config.auths, [key]: {} });
      return undefined;
    }
    return await writeCredentials(this.#directory, { ...config.auths, [key]: encodeAuth(login) });
  }

  /** Whether there was one. */
  async erase(key: string): Promise<boolean> {
    const config = await readCredentials(this.#directory);
    const { [key]: own, ...others } = config.auths;
    const helper = helperFor(config, key);
    if (helper !== undefined) await eraseFromHelper(helper, key, this.#env);
    if (own === undefined) return helper !== undefined;
    await writeCredentials(this.#directory, others);
    return true;
  }

  /** All that can be found, by key: for builds, which may need any. */
  async all(): Promise<Record<string, Login>> {
    const config = await readCredentials(this.#directory);
    const inStore = config.credsStore === undefined ? [] : await listHelper(config.credsStore, this.#env);
    const keys = new Set([...Object.keys(config.auths), ...Object.keys(config.credHelpers), ...inStore]);
    const found: Record<string, Login> = {};
    for (const key of keys) {
      const login = await this.#get(config, key).catch(() => undefined);
      if (login !== undefined) found[key] = login;
    }
    return found;
  }

  async #get(config: CredentialsConfig, key: string): Promise<Login | undefined> {
    const helper = helperFor(config, key);
    if (helper !== undefined) return await getFromHelper(helper, key, this.#env);
    const entry = config.auths[key] ?? Object.entries(config.auths).find(([name]) => hostOf(name) === hostOf(key))?.[1];
    return entry === undefined ? undefined : decodeAuth(entry, key);
  }
}

function helperFor(config: CredentialsConfig, key: string): string | undefined {
  return config.credHelpers[hostOf(key)] ?? config.credHelpers[key] ?? config.credsStore;
}

/** Old files name registries by addresses. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function encodeAuth({ username, password, identityToken }: Login): AuthEntry {
  if (identityToken) return { auth: encode(`${username}:`), identitytoken: identityToken };
  return { auth: encode(`${username}:${password}`) };
}

function decodeAuth({ auth, username, password, identitytoken }: AuthEntry, key: string): Login | undefined {
  const token = identitytoken ? { identityToken: identitytoken } : {};
  if (auth === undefined || auth === "") {
    if (username === undefined && identitytoken === undefined) return undefined;
    return { username: username ?? "", password: password ?? "", ...token };
  }
  const text = Buffer.from(auth, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0)
    throw new ExitError(1, `the login for ${key} in config.json is damaged`, `Log in again: slipway login ${key}`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, ""), ...token };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** The registry's key for an image's name or a registry's: Docker Hub has a name of its own. */
export function keyOfRegistry(domain: string): string {
  const host = hostOf(domain);
  return host === "" || host === "docker.io" || host === "index.docker.io" || host === "registry-1.docker.io"
    ? HUB
    : host;
}

/** The header in which Docker's API takes a login: JSON as base64url. */
export function authHeader(login: Login, key: string): string {
  const { username, password, identityToken } = login;
  const document = identityToken
    ? { identitytoken: identityToken, serveraddress: key }
    : { username, password, serveraddress: key };
  return Buffer.from(JSON.stringify(document)).toString("base64url");
}
