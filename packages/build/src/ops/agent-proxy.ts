import { chmodSync, chownSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";

export interface AgentProxy extends AsyncDisposable {
  readonly path: string;
}

/** A socket that leads to an SSH agent of the client, with an owner and a mode that suit the step. */
export async function proxyAgent(
  agent: string,
  socket: { readonly path: string; readonly mode: number; readonly uid: number; readonly gid: number },
): Promise<AgentProxy> {
  const server: Server = createServer((client) => {
    const upstream = connect(agent);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("error", end);
    upstream.on("error", end);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket.path, resolve);
  });
  chownSync(socket.path, socket.uid, socket.gid);
  chmodSync(socket.path, socket.mode);
  return { path: socket.path, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
