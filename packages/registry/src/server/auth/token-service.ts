import { fault, faultResponse } from "../api/fault.ts";
import type { Action } from "../api/parts.ts";
import { basicCredentials } from "./credentials.ts";
import type { Login } from "./login.ts";
import { type ScopeAccess, TOKEN_SECONDS, type Tokens } from "./tokens.ts";
import { mayDo, type User } from "./users.ts";

/** Scopes that one token may be asked for, and the bytes of a form. */
const MAX_SCOPES = 100;
const MAX_FORM = 65_536;

/**
 * The token service (distribution specification, "Token Authentication" and "OAuth2 Token Authentication"): GET with basic
 * credentials, or POST with a name and a password. A token carries of what was asked for what the user may do.
 */
export async function tokenService(tokens: Tokens, login: Login, request: Request, search: string): Promise<Response> {
  try {
    const form = request.method === "POST" ? await readForm(request) : new URLSearchParams(search);
    const user = await userOf(login, request, form);
    const scopes = form.getAll("scope").flatMap((scope) => scope.split(" "));
    const access = scopes.slice(0, MAX_SCOPES).flatMap((scope) => granted(user, scope));
    const now = new Date();
    const token = tokens.issue(user?.name ?? "", access, now.getTime());
    return Response.json(
      { token, access_token: token, expires_in: TOKEN_SECONDS, issued_at: now.toISOString() },
      { headers: { "Cache-Control": "no-store" } },
    );
  } catch (error) {
    return faultResponse(error);
  }
}

async function userOf(login: Login, request: Request, form: URLSearchParams): Promise<User | undefined> {
  const isPassword = form.get("grant_type") === "password";
  const credentials = isPassword
    ? { user: form.get("username") ?? "", password: form.get("password") ?? "" }
    : basicCredentials(request.headers.get("authorization"));
  if (credentials === undefined) {
    if (request.method === "POST") throw fault("UNSUPPORTED", "only grant_type=password is known");
    return await login.anonymous();
  }
  const user = await login.check(credentials);
  if (user === undefined) throw fault("UNAUTHORIZED", "wrong user name or password");
  return user;
}

/** What of a scope (`repository:team/app:pull,push`) a user may do; nothing when that is none of it. */
function granted(user: User | undefined, scope: string): ScopeAccess[] {
  const match = /^repository(?:\([a-z]+\))?:(.+):([a-z*,]+)$/.exec(scope);
  const name = match?.[1];
  if (name === undefined) return [];
  const words = match?.[2]?.split(",") ?? [];
  const wanted = (["pull", "push", "delete"] satisfies Action[]).filter(
    (action) => words.includes(action) || words.includes("*"),
  );
  const actions = wanted.filter((action) => mayDo(user, name, action));
  return actions.length === 0 ? [] : [{ name, actions }];
}

async function readForm(request: Request): Promise<URLSearchParams> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > MAX_FORM) throw fault("TOO_LARGE", "the form is too large");
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
