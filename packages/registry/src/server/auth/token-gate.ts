import { fault } from "../api/fault.ts";
import type { Gate, Need } from "../api/handler.ts";
import type { Access } from "../api/parts.ts";
import { basicCredentials } from "./credentials.ts";
import type { Login } from "./login.ts";
import type { Tokens } from "./tokens.ts";
import { mayDo } from "./users.ts";

export interface TokenGateOptions {
  readonly tokens: Tokens;
  readonly login: Login;
  /** The address of the token service as clients reach it; otherwise it is made from what they asked. */
  readonly realm?: string;
  readonly isTls: boolean;
}

/**
 * Lets in who has a token of ours for what he wants (distribution specification, "Token Authentication"), or a name and a
 * password as they are.
 */
export function tokenGate(options: TokenGateOptions): Gate {
  const { tokens, login } = options;
  return {
    async admit(request, needs) {
      const header = request.headers.get("authorization");
      const access = await accessOf(header);
      const isAnonymous = header === null;
      const refused = needs.find((need) => !(access?.allows(need.name, need.action) ?? false));
      if (access !== undefined && refused === undefined && !(isAnonymous && needs.length === 0)) return access;
      if (access !== undefined && basicCredentials(header) !== undefined) {
        throw fault("DENIED", `${access.user} may not ${refused?.action} ${refused?.name}`);
      }
      const challenge = challengeFor(
        options,
        request,
        needs,
        header === null ? undefined : refused && "insufficient_scope",
      );
      throw fault("UNAUTHORIZED", isAnonymous ? "authentication required" : "the token is not valid for this", {
        headers: { "WWW-Authenticate": challenge },
      });
    },
  };

  async function accessOf(header: string | null): Promise<Access | undefined> {
    const bearer = /^bearer +(\S+)$/i.exec(header ?? "")?.[1];
    if (bearer !== undefined) {
      const claims = tokens.read(bearer);
      if (claims === undefined) return undefined;
      return {
        user: claims.subject,
        allows: (name, action) => claims.access.some((entry) => entry.name === name && entry.actions.includes(action)),
      };
    }
    const credentials = basicCredentials(header);
    const user = await (credentials === undefined ? login.anonymous() : login.check(credentials));
    if (credentials !== undefined && user === undefined) return undefined;
    return { ...(user && { user: user.name }), allows: (name, action) => mayDo(user, name, action) };
  }
}

function challengeFor(options: TokenGateOptions, request: Request, needs: readonly Need[], error?: string): string {
  const realm = options.realm ?? `${schemeOf(request, options.isTls)}://${hostOf(request)}/token`;
  const name = needs[0]?.name;
  const scope = name === undefined ? "" : `,scope="repository:${name}:${needs.map(({ action }) => action).join(",")}"`;
  return `Bearer realm="${realm}",service="${options.tokens.service}"${scope}${error === undefined ? "" : `,error="${error}"`}`;
}

function schemeOf(request: Request, isTls: boolean): string {
  return isTls || request.headers.get("x-forwarded-proto") === "https" ? "https" : "http";
}

/** The host as the client named it; what could end the quoted text of a challenge is left out. */
function hostOf(request: Request): string {
  return (request.headers.get("host") ?? "").replace(/[^A-Za-z0-9.:[\]-]/g, "");
}
