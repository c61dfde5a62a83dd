import { JsonReader, SlipwayError } from "@slipway/base";
import type { Action } from "../api/parts.ts";
import { matches } from "../collect/retention.ts";
import { everyKey, type RecordStore } from "../storage/records.ts";

/** A right on all repositories whose names match: `*` is any text. */
export interface Grant {
  readonly repositories: string;
  readonly actions: readonly Action[];
}

export interface User {
  readonly name: string;
  /** bcrypt. Nobody can log in as the anonymous user, who has none. */
  readonly hash?: string;
  readonly grants: readonly Grant[];
  /** A robot is not a person: its password was made by us and is shown once. */
  readonly robot: boolean;
  /** When the account ends, in milliseconds since 1970. */
  readonly expires?: number;
}

/** What whoever has not logged in may do is what this user may do. */
export const ANONYMOUS = "anonymous";
const PREFIX = "users/";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/;
const ACTIONS: readonly Action[] = ["pull", "push", "delete"];

/** The users of a registry, in its own storage: all replicas know the same. */
export class Users {
  readonly #records: RecordStore;

  constructor(records: RecordStore) {
    this.#records = records;
  }

  /** Undefined when there is none of this name, or the account has ended. */
  async find(name: string, now: number = Date.now()): Promise<User | undefined> {
    if (!NAME.test(name)) return undefined;
    const value = await this.#records.get(PREFIX + name);
    const user = value === undefined ? undefined : readUser(name, value);
    return user?.expires !== undefined && user.expires <= now ? undefined : user;
  }

  /** Adds a user, or replaces the one of this name. Throws `invalid`. */
  async put(user: User): Promise<void> {
    if (!NAME.test(user.name)) throw new SlipwayError("invalid", `'${user.name}' cannot be a user's name`);
    const { name, ...rest } = user;
    await this.#records.commit({ steps: [[{ put: PREFIX + name, value: Buffer.from(JSON.stringify(rest)) }]] });
  }

  /** Throws `not-found`. */
  async remove(name: string): Promise<void> {
    if (!NAME.test(name) || (await this.#records.get(PREFIX + name)) === undefined) {
      throw new SlipwayError("not-found", `there is no user '${name}'`);
    }
    await this.#records.commit({ steps: [[{ remove: PREFIX + name }]] });
  }

  async all(): Promise<User[]> {
    const users: User[] = [];
    for await (const key of everyKey(this.#records, PREFIX)) {
      const value = await this.#records.get(key);
      if (value !== undefined) users.push(readUser(key.slice(PREFIX.length), value));
    }
    return users;
  }
}

export function mayDo(user: User | undefined, name: string, action: Action): boolean {
  return user?.grants.some((grant) => grant.actions.includes(action) && matches(grant.repositories, name)) ?? false;
}

/** Reads `team/*:pull,push` or `team/*:*`. Throws `invalid`. */
export function parseGrant(text: string): Grant {
  const colon = text.lastIndexOf(":");
  const words = text.slice(colon + 1).split(",");
  const actions = words.includes("*") ? ACTIONS : ACTIONS.filter((action) => words.includes(action));
  if (colon <= 0 || (actions !== ACTIONS && actions.length !== words.length)) {
    throw new SlipwayError("invalid", `'${text}' is not a right`, { hint: "Write it as 'team/*:pull,push,delete'." });
  }
  return { repositories: text.slice(0, colon), actions };
}

function readUser(name: string, value: Uint8Array): User {
  const reader = JsonReader.parse(value, `user ${name}`);
  const hash = reader.field("hash").optionalString();
  const expires = reader.field("expires").optionalNumber();
  const grants = reader
    .field("grants")
    .array()
    .map((grant) => ({
      repositories: grant.field("repositories").string(),
      actions: ACTIONS.filter((action) => grant.field("actions").strings().includes(action)),
    }));
  return {
    name,
    grants,
    robot: reader.field("robot").optionalBoolean() ?? false,
    ...(hash !== undefined && { hash }),
    ...(expires !== undefined && { expires }),
  };
}
