import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@slipway/base";
import type { Backends } from "../backend.ts";
import { serveApi } from "../server.ts";

export interface TestServer {
  readonly socket: string;
  /** A request over the socket by the platform's own client. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Serves the backends on a socket of its own while `test` runs. */
export async function withServer(backends: Backends, test: (server: TestServer) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "slipway-server-"));
  const socket = join(directory, "api.sock");
  const server = await serveApi({ backends, addresses: [{ kind: "unix", path: socket }], log: silentLogger });
  try {
    await test({ socket, request: (path, init) => fetch(`http://api${path}`, { ...init, unix: socket }) });
  } finally {
    await server.close(0);
    rmSync(directory, { recursive: true, force: true });
  }
}
