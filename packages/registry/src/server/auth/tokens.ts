import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from "node:crypto";
import { isError, JsonReader } from "@slipway/base";
import type { Action } from "../api/parts.ts";
import type { RecordStore } from "../storage/records.ts";

/** What a token lets its bearer do (Docker's "Token Scope Documentation"). */
export interface ScopeAccess {
  readonly name: string;
  readonly actions: readonly Action[];
}

export interface Claims {
  readonly subject: string;
  readonly access: readonly ScopeAccess[];
  /** When it ends, in milliseconds since 1970. */
  readonly expires: number;
}

const KEY = "keys/token";
/** Seconds. What a user lost ends with the tokens that were given before. */
export const TOKEN_SECONDS = 300;
const HEADER = encode({ alg: "EdDSA", typ: "JWT" });
const MAX_TOKEN = 16_384;
/** By then all that started together have written their keys, in milliseconds. */
const SETTLE_MS = 5000;

/** Signs and reads the registry's own tokens: JWT with Ed25519 (RFC 7519, RFC 8037). */
export class Tokens {
  readonly #service: string;
  #private: KeyObject;
  #public: KeyObject;

  /** The key is in the storage, made by whoever starts first: all replicas accept each other's tokens. */
  static async open(records: RecordStore, service: string, settle: number = SETTLE_MS): Promise<Tokens> {
    const found = await records.get(KEY);
    if (found !== undefined) return new Tokens(readKey(found), service);
    const { privateKey } = generateKeyPairSync("ed25519");
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    await records.commit({ steps: [[{ put: KEY, value: Buffer.from(pem) }]] });
    const tokens = new Tokens(privateKey, service);
    // Others may have started at the same moment: the key that was written last counts for all.
    setTimeout(() => void tokens.#readAgain(records).catch(() => {}), settle).unref();
    return tokens;
  }

  private constructor(key: KeyObject, service: string) {
    this.#private = key;
    this.#public = createPublicKey(key);
    this.#service = service;
  }

  async #readAgain(records: RecordStore): Promise<void> {
    const found = await records.get(KEY);
    if (found === undefined) return;
    this.#private = readKey(found);
    this.#public = createPublicKey(this.#private);
  }

  get service(): string {
    return this.#service;
  }

  issue(subject: string, access: readonly ScopeAccess[], now: number = Date.now()): string {
    const iat = Math.floor(now / 1000);
    const payload = encode({
      iss: this.#service,
      sub: subject,
      aud: this.#service,
      iat,
      nbf: iat - 10,
      exp: iat + TOKEN_SECONDS,
      jti: randomUUID(),
      access: access.map(({ name, actions }) => ({ type: "repository", name, actions })),
    });
    const signed = `${HEADER}.${payload}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.#private).toString("base64url")}`;
  }

  /** Undefined for a token that is not ours, is changed, or has ended. */
  read(token: string, now: number = Date.now()): Claims | undefined {
    const parts = token.split(".");
    const [header, payload, signature] = parts;
    if (parts.length !== 3 || token.length > MAX_TOKEN || header !== HEADER) return undefined;
    if (payload === undefined || signature === undefined) return undefined;
    const isOurs = verify(null, Buffer.from(`${header}.${payload}`), this.#public, Buffer.from(signature, "base64url"));
    if (!isOurs) return undefined;
    try {
      return readClaims(JsonReader.parse(Buffer.from(payload, "base64url"), "token"), this.#service, now);
    } catch (error) {
      if (isError(error, "invalid")) return undefined;
      throw error;
    }
  }
}

function readKey(pem: Uint8Array): KeyObject {
  return createPrivateKey(Buffer.from(pem).toString());
}

function readClaims(reader: JsonReader, service: string, now: number): Claims | undefined {
  const expires = reader.field("exp").natural() * 1000;
  if (reader.field("aud").string() !== service || expires <= now) return undefined;
  const access = reader
    .field("access")
    .array()
    .map((entry) => ({ name: entry.field("name").string(), actions: entry.field("actions").strings() as Action[] }));
  return { subject: reader.field("sub").string(), access, expires };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
