import { createHash } from "node:crypto";
import { Semaphore } from "@slipway/base";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Reads an `Authorization: Basic` header (RFC 7617); undefined for anything else. */
export function basicCredentials(header: string | null): Credentials | undefined {
  const match = /^basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "");
  if (match?.[1] === undefined) return undefined;
  const text = Buffer.from(match[1], "base64").toString();
  const colon = text.indexOf(":");
  return colon <= 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** How long a password that was right is not hashed again, in milliseconds: a push asks with each of its requests. */
const REMEMBER_MS = 60_000;
const REMEMBERED = 10_000;
/** Of a text that nobody knows, as slow as hashes that we make. */
const NOBODY = "$2b$10$ujQP1C5cMZPaTeW2V6QtTuROjei00RJ/nG.eGJEfLmMKmLlE3tJbm";

/** Checks passwords against bcrypt hashes. Hashing is slow on purpose: few at once, and right ones are remembered. */
export class PasswordCheck {
  readonly #turns = new Semaphore(2);
  readonly #known = new Map<string, number>();

  /**
   * `decoy` is hashed against where there is no user: how fast the answer is must not tell who is known, so it is to be as
   * slow as the hashes of others.
   */
  async isRight(password: string, hash: string | undefined, decoy: string = NOBODY): Promise<boolean> {
    const key = createHash("sha256").update(`${hash}\0${password}`).digest("hex");
    const until = this.#known.get(key);
    if (until !== undefined && until > Date.now()) return true;
    const isRight = await this.#turns.with(() => verify(password, hash ?? decoy));
    if (!isRight || hash === undefined) return false;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(key, Date.now() + REMEMBER_MS);
    return true;
  }
}

async function verify(password: string, hash: string): Promise<boolean> {
  // Apache's htpasswd writes $2y$ for what everybody else calls $2b$.
  return await Bun.password.verify(password, hash.replace(/^\$2y\$/, "$2b$"), "bcrypt").catch(() => false);
}
