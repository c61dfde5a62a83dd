import { JsonReader, SingleFlight, SlipwayError } from "@slipway/base";
import { readDocument, readStart } from "./body.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { basicHeader, type Credentials, isAnonymous } from "./credentials.ts";
import { MOST_ERROR_BYTES, refusal } from "./failures.ts";
import { isLoopback } from "./networks.ts";
import { readRetryAfter } from "./retry.ts";
import type { RegistrySettings } from "./settings.ts";
import type { Transport } from "./transport.ts";

/** What a request wants to do: scopes of the token specification, `repository:path:pull,push`. */
export type Scopes = readonly string[];

interface Token {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export interface AuthorizerOptions {
  readonly base: URL;
  readonly insecure: boolean;
  readonly credentials: Credentials;
  readonly transport: Transport;
  readonly settings: RegistrySettings;
}

const CLIENT_ID = "slipway";
/** Seconds that a token lives if nothing is said (token specification). */
const DEFAULT_LIFE = 60;
/** A token that ends so soon might end on the way, milliseconds. */
const MARGIN = 5000;
const MOST_TOKEN_BYTES = 1024 * 1024;

/** Answers one registry's challenges for one user: Basic, or bearer tokens by scope, fetched once and again before they end. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens = new Map<string, Token>();
  readonly #fetching = new SingleFlight<Token>();
  #challenge: Challenge | undefined;
  #identityToken: string | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.#identityToken = options.credentials.identityToken;
  }

  /** An identity token that the token service gave, for the client to keep in place of the password. */
  get identityToken(): string | undefined {
    return this.#identityToken;
  }

  /** The header for a request, as far as the registry has said what it wants. */
  async header(scopes: Scopes, signal: AbortSignal): Promise<string | undefined> {
    const { credentials } = this.#options;
    if (credentials.registryToken) return `Bearer ${credentials.registryToken}`;
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === "basic") return isAnonymous(credentials) ? undefined : basicHeader(credentials);
    const key = scopes.join(" ");
    const known = this.#tokens.get(key);
    if (known !== undefined && known.until > Date.now()) return `Bearer ${known.value}`;
    const token = await this.#fetching.do(key, (shared) => this.#fetch(challenge, scopes, shared), signal);
    this.#tokens.set(key, token);
    return `Bearer ${token.value}`;
  }

  /** Takes note of a 401. Whether trying again can help: not if the registry has just refused what it would get again. */
  note(response: Response, scopes: Scopes, sent: string | undefined): boolean {
    const challenges = parseChallenges(response.headers.get("www-authenticate") ?? "");
    const chosen =
      challenges.find(({ scheme }) => scheme === "bearer") ?? challenges.find(({ scheme }) => scheme === "basic");
    if (chosen === undefined) return false;
    const first = this.#challenge === undefined;
    this.#challenge = chosen;
    this.#tokens.delete(scopes.join(" "));
    if (chosen.scheme === "basic") return first && sent === undefined && !isAnonymous(this.#options.credentials);
    return this.#options.credentials.registryToken === undefined;
  }

  /** Gets a token although nothing asks for it: to find out whether the credentials are good. */
  async login(scopes: Scopes, signal: AbortSignal): Promise<void> {
    const challenge = this.#challenge;
    if (challenge?.scheme !== "bearer") return;
    this.#tokens.set(scopes.join(" "), await this.#fetch(challenge, scopes, signal, true));
  }

  async #fetch(challenge: Challenge, scopes: Scopes, signal: AbortSignal, offline = false): Promise<Token> {
    const realm = this.#realm(challenge);
    const service = challenge.parameters.service ?? "";
    const identity = this.#identityToken;
    if (identity !== undefined && identity !== "") {
      return this.#post(
        realm,
        { grant_type: "refresh_token", refresh_token: identity, service, scope: scopes.join(" ") },
        signal,
      );
    }
    const url = new URL(realm);
    if (service !== "") url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    const { credentials } = this.#options;
    const anonymous = isAnonymous(credentials);
    if (!anonymous) url.searchParams.set("account", credentials.username);
    if (offline) {
      url.searchParams.set("client_id", CLIENT_ID);
      url.searchParams.set("offline_token", "true");
    }
    return await this.#ask(
      { method: "GET", url, authorization: anonymous ? undefined : basicHeader(credentials) },
      signal,
    );
  }

  async #post(realm: URL, fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Token> {
    const body = new URLSearchParams({ ...fields, client_id: CLIENT_ID }).toString();
    return await this.#ask({ method: "POST", url: realm, authorization: undefined, body }, signal);
  }

  async #ask(
    request: {
      readonly method: string;
      readonly url: URL;
      readonly authorization: string | undefined;
      readonly body?: string;
    },
    signal: AbortSignal,
  ): Promise<Token> {
    const { transport, settings, insecure } = this.#options;
    const { body } = request;
    const incoming = await transport.send({
      method: request.method,
      url: request.url,
      authorization: request.authorization,
      insecure,
      signal,
      headers: body === undefined ? {} : { "Content-Type": "application/x-www-form-urlencoded" },
      ...(body !== undefined && { body: () => body }),
    });
    const limits = { stallTimeout: settings.stallTimeout, signal };
    const { status, ok, headers } = incoming.response;
    if (!ok) {
      const error = refusal(request.url.host, status, await readStart(incoming, MOST_ERROR_BYTES, limits));
      const retryAfter = readRetryAfter(headers.get("retry-after"), Date.now());
      throw new SlipwayError(error.code, error.message, {
        ...(error.hint !== undefined && { hint: error.hint }),
        details: { ...error.details, ...(retryAfter !== undefined && { retryAfter }) },
      });
    }
    return this.#read(await readDocument(incoming, MOST_TOKEN_BYTES, limits), request.url);
  }

  #read(bytes: Uint8Array, url: URL): Token {
    const document = JsonReader.parse(bytes, `the token from ${url.host}`);
    const value = document.field("token").optionalString() ?? document.field("access_token").optionalString();
    // It becomes a header: nothing that would end the line may be in it.
    if (value === undefined || value === "" || !/^[\x21-\x7e]+$/.test(value)) {
      throw new SlipwayError(
        "unauthorized",
        `authorization server ${url.host} did not include a token in the response`,
      );
    }
    const refresh = document.field("refresh_token").optionalString();
    if (refresh) this.#identityToken = refresh;
    const life = Math.max(document.field("expires_in").optionalNumber() ?? DEFAULT_LIFE, 0) * 1000;
    return { value, until: Date.now() + Math.max(life - MARGIN, life / 2) };
  }

  /** Where tokens come from. Passwords do not leave an encrypted registry for an address that is not. */
  #realm({ parameters }: Challenge): URL {
    const { base, insecure } = this.#options;
    const realm = parameters.realm ?? "";
    if (!URL.canParse(realm)) throw new SlipwayError("invalid", `${base.host} names no token service`);
    const url = new URL(realm);
    const plain = url.protocol === "http:";
    if (!plain && url.protocol !== "https:") {
      throw new SlipwayError("invalid", `${base.host} names a token service with the scheme '${url.protocol}'`);
    }
    if (plain && base.protocol === "https:" && !insecure && !isLoopback(url.hostname)) {
      throw new SlipwayError("forbidden", `${base.host} wants the password sent to ${url.host} without TLS`);
    }
    return url;
  }
}
