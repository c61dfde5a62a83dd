import { isError, SlipwayError } from "@slipway/base";
import type { Credentials } from "./credentials.ts";
import type { RegistryHosts } from "./host.ts";

/** The registry that a server address of `docker login` means: `https://index.docker.io/v1/` is Docker Hub. */
export function domainOf(serverAddress: string): string {
  const host = serverAddress.replace(/^[a-z]+:\/\//, "").replace(/\/.*$/, "");
  const hub = host === "" || host === "index.docker.io" || host === "registry-1.docker.io" || host === "docker.io";
  return hub ? "docker.io" : host;
}

/**
 * Asks a registry whether credentials are good. Returns an identity token if its token service gives one in place of the
 * password. Throws `unauthorized` when they are not, `unavailable` when nobody answers.
 */
export async function checkLogin(
  hosts: RegistryHosts,
  serverAddress: string,
  { credentials, signal }: { readonly credentials: Credentials; readonly signal: AbortSignal },
): Promise<{ readonly identityToken: string }> {
  const host = await hosts.open(domainOf(serverAddress), credentials, signal);
  try {
    await host.authorizer.login([], signal);
    const incoming = await host.send({ method: "GET", path: "/v2/", scopes: [], signal });
    incoming.end();
  } catch (error) {
    hosts.forget(host);
    if (!isError(error, "unauthorized")) throw error;
    const { details } = error;
    const said = error.message.startsWith("unauthorized") ? error.message : `unauthorized: ${error.message}`;
    const place = `${host.base.origin}/v2/`;
    throw new SlipwayError("unauthorized", `login attempt to ${place} failed with status: 401 Unauthorized: ${said}`, {
      hint: "Check user name and password; some registries want a token in place of the password.",
      cause: error,
      details,
    });
  }
  return { identityToken: host.authorizer.identityToken ?? "" };
}
