import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectionError } from "../errors.ts";

/** An engine of another machine, brought here as a socket of this one. */
export interface Tunnel {
  /** A unix socket in a folder that only this user can enter. */
  readonly path: string;
  /** As the user wrote it: `ssh://me@machine`. */
  readonly text: string;
  /** What ssh said if a connection ended without an answer. */
  failure(): string | undefined;
  close(): void;
}

interface SshHost {
  readonly user: string;
  readonly hostname: string;
  readonly port: string;
  /** Of the engine there; empty for the one that its client finds by itself. */
  readonly socket: string;
}

/** Either of the two answers to `system dial-stdio`; the first that the other machine has is asked. */
const REMOTE_CLIENTS = ["slipway", "docker"];

/** Most bytes of ssh's messages that are kept for an error. */
const MAX_COMPLAINT = 4096;

/** Reads `ssh://[user@]host[:port][/path/of/socket]`, as Docker's client does. Throws `ConnectionError`. */
export function parseSshHost(text: string): SshHost {
  const match = /^ssh:\/\/(?:([^@/?#]*)@)?(\[[0-9a-fA-F:]+\]|[^:/?#[\]@]+)(?::(\d+))?(\/[^?#]*)?$/.exec(text);
  const [, user = "", host = "", port = "", path = ""] = match ?? [];
  if (match === null) throw badSsh(text, "expected ssh://[USER@]HOST[:PORT]");
  if (user.includes(":")) throw badSsh(text, "plain-text password is not supported");
  // What begins with a dash would be an option of ssh.
  if (user.startsWith("-") || host.startsWith("-")) throw badSsh(text, "user and host cannot begin with '-'");
  return { user, hostname: host.replace(/^\[|\]$/g, ""), port, socket: path === "/" ? "" : path };
}

function badSsh(text: string, reason: string): ConnectionError {
  return new ConnectionError(`unable to parse docker host \`${text}\`: ${reason}`);
}

/** The command line of ssh. Its user's own configuration (keys, jump hosts, shared connections) stays in force. */
export function sshArguments(text: string): string[] {
  const { user, hostname, port, socket } = parseSshHost(text);
  const login = [...(user === "" ? [] : ["-l", user]), ...(port === "" ? [] : ["-p", port])];
  const words = socket === "" ? "" : ` --host ${quote(`unix://${socket}`)}`;
  const choices = REMOTE_CLIENTS.map(
    (client) => `command -v ${client} >/dev/null && exec ${client}${words} system dial-stdio`,
  );
  const script = `${choices.join("; ")}; echo "neither ${REMOTE_CLIENTS.join(" nor ")} is installed there" >&2; exit 127`;
  return ["ssh", ...login, "-o", "ConnectTimeout=30", "-T", "--", hostname, `sh -c ${quote(script)}`];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Listens on a socket of its own, and runs ssh for each connection to it. Everything ends with the process, but for the
 * folder of the socket, which `close` removes.
 */
export async function openSshTunnel(text: string): Promise<Tunnel> {
  const [program = "ssh", ...argv] = sshArguments(text);
  const { spawn } = await import("node:child_process");
  const folder = mkdtempSync(join(tmpdir(), "slipway-ssh-"));
  const path = join(folder, "engine.sock");
  let complaint = "";
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const child = spawn(program, argv, { stdio: ["pipe", "pipe", "pipe"] });
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-MAX_COMPLAINT);
    });
    child.on("error", (error) => {
      complaint = `cannot run ${program}: ${error.message}`;
      socket.destroy();
    });
    connect(socket, child);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  // The tunnel alone keeps no process alive.
  server.unref();
  const close = () => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", close);
  return { path, text, failure: () => (complaint === "" ? undefined : complaint.trim()), close };
}

/** Copies both directions, each with its own end. */
function connect(socket: Socket, child: ChildProcess): void {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) return;
  socket.pipe(stdin);
  stdout.pipe(socket);
  // A side that is gone takes the other along.
  stdin.on("error", () => socket.destroy());
  socket.on("error", () => child.kill());
  socket.on("close", () => child.kill());
  child.on("exit", (code) => {
    if (code !== 0) socket.destroy();
  });
}
