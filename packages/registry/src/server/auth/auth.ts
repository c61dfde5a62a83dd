import type { Gate } from "../api/handler.ts";
import type { Storage } from "../storage/contents.ts";
import { htpasswdGate } from "./htpasswd.ts";
import { Login } from "./login.ts";
import { tokenGate } from "./token-gate.ts";
import { tokenService } from "./token-service.ts";
import { Tokens } from "./tokens.ts";
import { Users } from "./users.ts";

export type AuthOptions =
  | { readonly kind: "htpasswd"; readonly file: string }
  /** Users and their rights in the storage. `realm` is the token service's address, when a proxy hides it. */
  | { readonly kind: "token"; readonly service?: string; readonly realm?: string };

export interface Auth {
  readonly gate: Gate;
  readonly token?: (request: Request, search: string) => Promise<Response>;
}

export async function openAuth(options: AuthOptions, storage: Storage, isTls: boolean): Promise<Auth> {
  if (options.kind === "htpasswd") return { gate: htpasswdGate(options.file) };
  const { service = "slipway-registry", realm } = options;
  const tokens = await Tokens.open(storage.records, service);
  const login = new Login(new Users(storage.records));
  return {
    gate: tokenGate({ tokens, login, isTls, ...(realm !== undefined && { realm }) }),
    token: (request, search) => tokenService(tokens, login, request, search),
  };
}
