/**
 * The `Authorization` header for a URL, from BuildKit's secrets `HTTP_AUTH_HEADER_<host>` (the whole value) and
 * `HTTP_AUTH_TOKEN_<host>` (a bearer token); the host is written with its port, if the URL has one.
 */
export function authorizationFor(url: string, secrets: ReadonlyMap<string, Uint8Array>): string | undefined {
  if (secrets.size === 0 || !URL.canParse(url)) return undefined;
  const { host } = new URL(url);
  const text = (id: string) => {
    const value = secrets.get(id);
    return value && new TextDecoder().decode(value).trim();
  };
  const token = text(`HTTP_AUTH_TOKEN_${host}`);
  return text(`HTTP_AUTH_HEADER_${host}`) ?? (token && `Bearer ${token}`);
}
