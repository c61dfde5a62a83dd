import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Host } from "../../client/host.ts";
import { ConnectionError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";

/** The far end of `ssh://`: whoever starts this program speaks with the engine through its stdin and stdout. */
export const dialStdio = command({
  usage: "",
  args: NO_ARGUMENTS,
  flags: {},
  examples: [
    ["ssh build-machine slipway system dial-stdio", "What a client with DOCKER_HOST=ssh://build-machine runs"],
  ],
  async run({ session }) {
    const client = await session.client();
    // Starts the engine where there is none, and says so if it cannot be reached.
    await client.ping();
    await copy(await dial(client.host));
    return 0;
  },
});

async function dial(host: Host): Promise<Socket> {
  const socket = open(host);
  const event = host.kind === "tcp" && host.tls !== undefined ? "secureConnect" : "connect";
  await new Promise<void>((resolve, reject) => {
    socket.once(event, resolve);
    socket.once("error", (error) => reject(new ConnectionError(`cannot reach the engine: ${error.message}`)));
  });
  return socket;
}

function open(host: Host): Socket {
  if (host.kind === "unix") return connect({ path: host.path, allowHalfOpen: true });
  const { hostname, port, tls } = host;
  if (tls === undefined) return connect({ host: hostname, port, allowHalfOpen: true });
  const { readFileSync } = process.getBuiltinModule("node:fs");
  const file = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path));
  return connectTls({
    host: hostname,
    port,
    rejectUnauthorized: tls.verify,
    ca: file(tls.ca),
    cert: file(tls.cert),
    key: file(tls.key),
  });
}

/** Ends when the engine has said its last: our own end of input only closes that half. */
async function copy(socket: Socket): Promise<void> {
  process.stdin.pipe(socket);
  socket.pipe(process.stdout);
  await new Promise<void>((resolve, reject) => {
    socket.once("close", () => resolve());
    socket.once("end", () => resolve());
    socket.once("error", reject);
  });
}
