import { readFileSync, statSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { fault } from "../api/fault.ts";
import type { Gate } from "../api/handler.ts";
import { basicCredentials, PasswordCheck } from "./credentials.ts";

const REALM = 'Basic realm="Slipway registry", charset="UTF-8"';

/** Everybody in a file as `htpasswd -B` writes it may do everything. A changed file counts at once. Throws `invalid`. */
export function htpasswdGate(path: string): Gate {
  const file = new HtpasswdFile(path);
  const check = new PasswordCheck();
  return {
    async admit(request) {
      const credentials = basicCredentials(request.headers.get("authorization"));
      const hash = credentials && file.hashOf(credentials.user);
      if (credentials !== undefined && (await check.isRight(credentials.password, hash, file.anyHash))) {
        return { user: credentials.user, allows: () => true };
      }
      const why = credentials === undefined ? "authentication required" : "wrong user name or password";
      throw fault("UNAUTHORIZED", why, { headers: { "WWW-Authenticate": REALM } });
    },
  };
}

class HtpasswdFile {
  readonly #path: string;
  #version = "";
  #hashes: ReadonlyMap<string, string> = new Map();

  constructor(path: string) {
    this.#path = path;
    this.#refresh();
  }

  hashOf(user: string): string | undefined {
    this.#refresh();
    return this.#hashes.get(user);
  }

  /** Of some user: `htpasswd` makes faster hashes than we do unless it is told otherwise. */
  get anyHash(): string | undefined {
    return this.#hashes.values().next().value;
  }

  #refresh(): void {
    const { mtimeMs, size, ino } = statSync(this.#path);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version === this.#version) return;
    this.#hashes = parse(readFileSync(this.#path, "utf8"), this.#path);
    this.#version = version;
  }
}

function parse(text: string, path: string): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>();
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const hash = line.slice(colon + 1).trim();
    if (colon <= 0 || !/^\$2[aby]\$\d\d\$/.test(hash)) {
      throw new SlipwayError("invalid", `${path}: line ${at + 1} is not a user with a bcrypt hash`, {
        hint: "Make it with: htpasswd -B -c FILE USER",
      });
    }
    hashes.set(line.slice(0, colon), hash);
  }
  return hashes;
}
