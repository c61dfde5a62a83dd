import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "../notation/environment.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A secret is a file's or a variable's content; more is a mistake. Bytes. */
const MAX_SECRET = 500 * 1024;

/** The values of `--secret` as base64 by ID. Throws an `Error` that never shows a secret. */
export async function readSecrets(values: readonly string[], env: Environment): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {};
  for (const text of values) {
    const { id, bytes } = await readSecret(text, env);
    if (bytes.length > MAX_SECRET) throw new Error(`secret '${id}' is too big: at most ${MAX_SECRET} bytes`);
    secrets[id] = Buffer.from(bytes).toString("base64");
  }
  return secrets;
}

async function readSecret(text: string, env: Environment): Promise<{ id: string; bytes: Uint8Array }> {
  const fields = Object.fromEntries(splitCsv(text).map(splitPair)) as Record<string, string | undefined>;
  const { type, id, src, source, env: variable, target, ...unknown } = fields;
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw new Error(`unexpected key '${other}' in a secret`);
  if (type !== undefined && type !== "file" && type !== "env") throw new Error(`unsupported secret type '${type}'`);
  const path = src ?? source;
  if (id === undefined || id === "") throw new Error("a secret needs an id: id=NAME,src=FILE");
  const name =
    variable ?? (type === "env" ? (path ?? id) : path === undefined && env[id] !== undefined ? id : undefined);
  if (name !== undefined) {
    const value = env[name];
    if (value === undefined) throw new Error(`secret '${id}': the environment variable ${name} is not set`);
    return { id, bytes: Buffer.from(value) };
  }
  const file = path ?? id;
  try {
    return { id, bytes: await Bun.file(file).bytes() };
  } catch (error) {
    const missing = (error as { code?: unknown }).code === "ENOENT";
    throw new Error(`secret '${id}': cannot read ${file}: ${missing ? "no such file" : (error as Error).message}`);
  }
}

/** The values of `--ssh` as paths of agent sockets by ID. Throws an `Error`. */
export async function readAgents(values: readonly string[], env: Environment): Promise<Record<string, string>> {
  const agents: Record<string, string> = {};
  for (const text of values) {
    const [id, path] = splitPair(text);
    const socket = path === "" ? env.SSH_AUTH_SOCK : path;
    if (!socket) throw new Error(`--ssh ${text}: no agent: SSH_AUTH_SOCK is not set`);
    const { stat } = await import("node:fs/promises");
    const info = await stat(socket).catch(() => undefined);
    if (info === undefined) throw new Error(`--ssh ${text}: ${socket} does not exist`);
    if (!info.isSocket()) {
      throw new Error(`--ssh ${text}: ${socket} is no agent's socket: add the key to an agent with ssh-add`);
    }
    agents[id] = socket;
  }
  return agents;
}
