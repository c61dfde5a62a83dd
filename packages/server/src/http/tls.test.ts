import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@slipway/base";
import { serveApi } from "../server.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import type { ServerTls } from "./listener.ts";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
let dir = "";
/** One certificate is authority, server and client. */
let pair: { readonly cert: Buffer; readonly key: Buffer };

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-tls-"));
  const names = ["-subj", "/CN=builder", "-addext", "subjectAltName=DNS:builder,IP:127.0.0.1"];
  const made = Bun.spawnSync(["openssl", "req", "-x509", ...KEY, ...names, "-keyout", "key.pem", "-out", "cert.pem"], {
    cwd: dir,
    stderr: "pipe",
  });
  if (made.exitCode !== 0) writeFileSync(2, made.stderr);
  pair = { cert: readFileSync(join(dir, "cert.pem")), key: readFileSync(join(dir, "key.pem")) };
});
afterAll(() => rmSync(dir, { recursive: true }));

async function serve(tls: Partial<ServerTls>) {
  const server = await serveApi({
    backends: fakeBackends({}),
    addresses: [{ kind: "tcp", hostname: "127.0.0.1", port: 0, tls: { ...pair, ...tls } }],
    log: silentLogger,
  });
  return { server, port: Number(server.addresses[0]?.split(":").at(-1)) };
}

/** As a client that reached the machine by its name. */
function ping(port: number, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, path: "/_ping", headers, ...pair, ca: pair.cert, servername: "builder" },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    asked.on("error", reject);
    asked.end();
  });
}

test("who asks with a certificate may call the engine by any name, but not out of a web page", async () => {
  const { server, port } = await serve({ clientCa: pair.cert });
  expect(await ping(port, { Host: "builder:2376" })).toBe(200);
  expect(await ping(port, { Host: "builder:2376", Origin: "http://evil.example" })).toBe(403);
  await server.close(0);
});

test("without clients' certificates the engine has the names of this machine only", async () => {
  const { server, port } = await serve({});
  expect(await ping(port, { Host: "builder:2376" })).toBe(403);
  expect(await ping(port, { Host: `127.0.0.1:${port}` })).toBe(200);
  await server.close(0);
});

test("who connects and says nothing is cut off", async () => {
  const { server, port } = await serve({ handshakeTimeout: 50 });
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.on("error", () => {}).once("close", resolve));
  await server.close(0);
});
