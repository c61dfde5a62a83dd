import { authHeader, keyOfRegistry, type Login, RegistryCredentials } from "../../credentials/registry-credentials.ts";
import { ExitError } from "../../errors.ts";
import type { Session } from "../../session.ts";

type WithFiles = Pick<Session, "configDirectory" | "io">;

/** The headers of a request in which the engine asks a registry for the user. */
export async function loginHeader(session: WithFiles, key: string): Promise<Record<string, string>> {
  const login = await loginFor(session, key);
  return login === undefined ? {} : { "X-Registry-Auth": authHeader(login, key) };
}

/** As `loginHeader`, by an image's name. */
export async function imageLogin(session: WithFiles, reference: string): Promise<Record<string, string>> {
  return await loginHeader(session, keyOfRegistry(domainOf(reference)));
}

/** All logins, for a build, which may use any. */
export async function buildLogins(session: WithFiles): Promise<Record<string, string>> {
  const all = await new RegistryCredentials(session.configDirectory, session.io.env).all();
  if (Object.keys(all).length === 0) return {};
  const entries = Object.entries(all).map(([key, { username, password, identityToken }]) => [
    key,
    { username, password, ...(identityToken && { identitytoken: identityToken }) },
  ]);
  return { "X-Registry-Config": Buffer.from(JSON.stringify(Object.fromEntries(entries))).toString("base64url") };
}

async function loginFor({ configDirectory, io }: WithFiles, key: string): Promise<Login | undefined> {
  return await new RegistryCredentials(configDirectory, io.env).get(key);
}

/** The registry in an image's name. */
function domainOf(reference: string): string {
  const slash = reference.indexOf("/");
  const first = slash < 0 ? "" : reference.slice(0, slash);
  return /[.:]/.test(first) || first === "localhost" ? first : "docker.io";
}

/** Throws `ExitError` for a name that can be none. Nothing is added. */
export async function checkedReference(text: string) {
  const { parseReference } = await import("@slipway/oci");
  try {
    return parseReference(text);
  } catch (error) {
    throw new ExitError(1, (error as Error).message);
  }
}
