import { type Credentials, PasswordCheck } from "./credentials.ts";
import { ANONYMOUS, type User, type Users } from "./users.ts";

/** Finds the user behind a name and a password. */
export class Login {
  readonly #users: Users;
  readonly #check = new PasswordCheck();

  constructor(users: Users) {
    this.#users = users;
  }

  async check({ user: name, password }: Credentials): Promise<User | undefined> {
    const user = await this.#users.find(name);
    return (await this.#check.isRight(password, user?.hash)) ? user : undefined;
  }

  async anonymous(): Promise<User | undefined> {
    return await this.#users.find(ANONYMOUS);
  }
}
