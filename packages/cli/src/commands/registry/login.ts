import { HUB, keyOfRegistry, type Login, RegistryCredentials } from "../../credentials/registry-credentials.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { atMost, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Io } from "../../io.ts";
import type { Session } from "../../session.ts";

export const login = command({
  usage: "[OPTIONS] [SERVER]",
  args: atMost(1),
  flags: {
    password: flag.string("Password or token (others can see it: better --password-stdin)", { short: "p" }),
    "password-stdin": flag.bool("Read the password from stdin"),
    username: flag.string("User name", { short: "u" }),
  },
  examples: [
    ["slipway login localhost:5000", "Ask for name and password"],
    ["slipway login -u bot --password-stdin registry.example < token", "Without a terminal"],
  ],
  async run({ flags, given, args: [server = ""], session }) {
    const { io } = session;
    if (given("password") && flags["password-stdin"])
      throw new ExitError(1, "conflicting options: cannot specify both --password and --password-stdin");
    if (given("password"))
      io.stderr.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    if (flags["password-stdin"] && !flags.username)
      throw new ExitError(1, "the --password-stdin option requires --username to be set");
    const key = keyOfRegistry(server);
    const store = new RegistryCredentials(session.configDirectory, io.env);
    const typed = {
      username: flags.username,
      password: flags["password-stdin"] ? await readSecret(io) : flags.password,
    };
    const known = typed.username === "" && typed.password === "" ? await existing(session, store, key) : undefined;
    if (known !== undefined) return known;
    const wanted = await complete(typed, key, io);
    await authenticate(session, store, key, wanted);
    return 0;
  },
});

/** Docker tries what it has before it asks. */
async function existing(session: Session, store: RegistryCredentials, key: string): Promise<number | undefined> {
  const login = await store.get(key);
  if (login === undefined) return undefined;
  session.io.stdout.write("Authenticating with existing credentials...\n");
  await session.io.stdout.flush();
  try {
    await authenticate(session, store, key, login);
    return 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    session.io.stderr.write(`Login did not succeed, error: ${error.message}\n`);
    return undefined;
  }
}

async function authenticate(session: Session, store: RegistryCredentials, key: string, login: Login): Promise<void> {
  const client = await session.client();
  const { username, password, identityToken } = login;
  const { Status, IdentityToken } = await client.json<{ Status?: string; IdentityToken?: string }>("POST", "/auth", {
    json: { username, password, serveraddress: key, ...(identityToken && { identitytoken: identityToken }) },
  });
  const kept = IdentityToken ? { username, password: "", identityToken: IdentityToken } : login;
  const file = await store.store(key, kept);
  if (file !== undefined) {
    session.io.stderr.write(
      `\nWARNING! Your credentials are stored unencrypted in '${file}'.\nConfigure a credential helper (credsStore) to remove this warning.\n\n`,
    );
    await session.io.stderr.flush();
  }
  session.io.stdout.write(`${Status ?? "Login Succeeded"}\n`);
}

async function complete(typed: Login, key: string, io: Io): Promise<Login> {
  if (typed.username !== "" && typed.password !== "") return typed;
  if (!io.stdin.isTerminal()) {
    throw new ExitError(
      1,
      "Error: Cannot perform an interactive login from a non TTY device",
      "Use --username and --password-stdin.",
    );
  }
  const { Prompt } = await import("../../credentials/prompt.ts");
  const prompt = new Prompt(io);
  if (typed.username === "" && key === HUB) io.stdout.write("Log in with your Docker ID.\n");
  const username = typed.username || (await prompt.ask("Username: "));
  if (username === "") throw new ExitError(1, "Error: Non-null Username Required");
  const password = typed.password || (await prompt.askSecret("Password: "));
  if (password === "") throw new ExitError(1, "Error: Password Required");
  return { username, password };
}

/** A secret on standard input ends at its end; the line's end that editors and `echo` add does not count. */
async function readSecret(io: Io): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of io.stdin.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString()
    .replace(/[\r\n]+$/, "");
}
