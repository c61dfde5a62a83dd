import { ExitError } from "../errors.ts";
import type { Login } from "./registry-credentials.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What helpers give as user name when the secret is an identity token. */
const TOKEN_USER = "<token>";
const NOT_FOUND = /credentials not found in native keychain/i;

/** Docker's protocol of credential helpers: a program, an action, a document on standard input. */
export async function getFromHelper(helper: string, key: string, env: Environment): Promise<Login | undefined> {
  const { code, stdout } = await runHelper(helper, "get", key, env);
  if (code !== 0) {
    if (NOT_FOUND.test(stdout)) return undefined;
    throw failure(helper, "get", stdout);
  }
  const { Username = "", Secret = "" } = parse(helper, stdout);
  if (Username === TOKEN_USER) return { username: "", password: "", identityToken: Secret };
  return { username: Username, password: Secret };
}

export async function storeInHelper(helper: string, key: string, login: Login, env: Environment): Promise<void> {
  const { username, password, identityToken } = login;
  const document = identityToken
    ? { ServerURL: key, Username: TOKEN_USER, Secret: identityToken }
    : { ServerURL: key, Username: username, Secret: password };
  const { code, stdout } = await runHelper(helper, "store", JSON.stringify(document), env);
  if (code !== 0) throw failure(helper, "store", stdout);
}

export async function eraseFromHelper(helper: string, key: string, env: Environment): Promise<void> {
  const { code, stdout } = await runHelper(helper, "erase", key, env);
  if (code !== 0 && !NOT_FOUND.test(stdout)) throw failure(helper, "erase", stdout);
}

/** The keys that a helper knows. One that cannot list knows none. */
export async function listHelper(helper: string, env: Environment): Promise<string[]> {
  const { code, stdout } = await runHelper(helper, "list", "unused", env);
  return code === 0 ? Object.keys(parse(helper, stdout)) : [];
}

async function runHelper(helper: string, action: string, input: string, env: Environment) {
  const program = `docker-credential-${helper}`;
  // It becomes a program's name: a path in it would be another program.
  const path = /^[\w.-]+$/.test(helper) ? Bun.which(program, { PATH: env.PATH ?? "" }) : null;
  if (path === null) {
    throw new ExitError(
      1,
      `error getting credentials - exec: "${program}": executable file not found in $PATH`,
      "Install it, or take it out of config.json (credsStore, credHelpers).",
    );
  }
  const child = Bun.spawn([path, action], { stdin: Buffer.from(input), stdout: "pipe", stderr: "inherit", env });
  const [stdout, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  return { code, stdout: stdout.trim() };
}

function parse(helper: string, text: string): Record<string, string> {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    throw failure(helper, "get", "its answer is not JSON");
  }
}

/** Never what it printed on success, which is a secret. */
function failure(helper: string, action: string, said: string): ExitError {
  return new ExitError(1, `docker-credential-${helper} ${action} failed: ${said.slice(0, 500)}`);
}
