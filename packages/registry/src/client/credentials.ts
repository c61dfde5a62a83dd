/** Who asks. Everything in it is secret except the name. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** An OAuth2 refresh token, in place of the password. */
  readonly identityToken?: string;
  /** A bearer token that is sent as it is. */
  readonly registryToken?: string;
}

export const ANONYMOUS: Credentials = { username: "", password: "" };

export function isAnonymous({ username, password, identityToken, registryToken }: Credentials): boolean {
  return !(username || password || identityToken || registryToken);
}

/** Tells credentials apart without keeping them readable in a map's keys. */
export function credentialKey(credentials: Credentials): string {
  const { username, password, identityToken = "", registryToken = "" } = credentials;
  return new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([username, password, identityToken, registryToken]))
    .digest("hex");
}

export function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
