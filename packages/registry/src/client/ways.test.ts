import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatReference, parseReference, type Reference } from "@slipway/oci";
import { TestRegistry } from "../server/testing/registry-fixture.ts";
import type { RegistrySettings } from "./settings.ts";
import { named, StoreFixture } from "./testing/store-fixture.ts";

const signal = new AbortController().signal;
const TIMEOUT = 30_000;
/** This machine by an address that does not count as loopback: nothing about it is allowed by default. */
const ELSEWHERE = "0.0.0.0";

let folder: string;
let registry: TestRegistry;
/** An image that the registry has. */
let digest: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-ways-"));
  makeCertificates();
  registry = await TestRegistry.start();
  await using source = await StoreFixture.open();
  const name = named(Number(new URL(registry.url).port), "app:v1");
  const image = await source.makeImage(formatReference(name), [3_000_000, 3_000_000, 100_000, "text"]);
  digest = image.id;
  const official = { ...name, path: "library/app" };
  source.store.images.tag(image.id, official);
  for (const each of [name, official]) await source.client.push(each, { signal });
}, TIMEOUT);

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** An authority, and certificates of it for the server and for a client. */
function makeCertificates(): void {
  const openssl = (...argv: string[]) => {
    const { status, stderr } = spawnSync("openssl", argv, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(`openssl ${argv.join(" ")}: ${stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=authority");
  for (const name of ["server", "client"]) {
    writeFileSync(join(folder, "extensions"), `subjectAltName=IP:${ELSEWHERE},IP:127.0.0.1,DNS:localhost\n`);
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.crt`);
  }
}

const file = (name: string) => readFileSync(join(folder, name), "utf8");

/** The registry behind TLS; `mutual` wants a client's certificate of our authority. */
function tlsFront({ mutual }: { readonly mutual: boolean }) {
  return Bun.serve({
    port: 0,
    hostname: "0.0.0.0",
    tls: {
      cert: file("server.crt"),
      key: file("server.key"),
      ...(mutual && { ca: file("ca.crt"), requestCert: true, rejectUnauthorized: true }),
    },
    fetch: (request) => forward(request),
  });
}

function forward(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const range = request.headers.get("range");
  const accept = request.headers.get("accept") ?? "*/*";
  return fetch(`${registry.url}${url.pathname}${url.search}`, {
    method: request.method,
    headers: { accept, ...(range !== null && { range }) },
  });
}

/** Pulls into a store of its own. Resolves with the image's ID or the failure's message. */
async function pulled(name: Reference, settings: Partial<RegistrySettings>, credentials?: object): Promise<string> {
  await using target = await StoreFixture.open(settings);
  const as = credentials === undefined ? {} : { credentials: { username: "", password: "", ...credentials } };
  return await target.client.pull(name, { signal, ...as }).then(
    ({ image }) => image.id,
    (error: Error) => error.message,
  );
}

const at = (port: number | undefined) => parseReference(`${ELSEWHERE}:${port}/app:v1`);

/** A folder as `/etc/docker/certs.d`, with these of our files for one host. */
function certificates(port: number | undefined, names: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(folder, "certs.d-"));
  const own = join(directory, `${ELSEWHERE}:${port}`);
  mkdirSync(own);
  for (const [name, source] of Object.entries(names)) copyFileSync(join(folder, source), join(own, name));
  return directory;
}

describe("a registry with a certificate of an authority of one's own", () => {
  test(
    "is trusted when the authority lies in its folder, or when it is named insecure",
    async () => {
      using front = tlsFront({ mutual: false });
      const refused = await pulled(at(front.port), { certificates: join(folder, "nothing") });
      expect(refused).toContain("tls: failed to verify certificate: x509:");
      expect(await pulled(at(front.port), { certificates: certificates(front.port, { "ca.crt": "ca.crt" }) })).toBe(
        digest,
      );
      const insecureRegistries = [`${ELSEWHERE}:${front.port}`];
      expect(await pulled(at(front.port), { insecureRegistries })).toBe(digest);
    },
    TIMEOUT,
  );

  test(
    "that wants a client's certificate gets the one in its folder",
    async () => {
      using front = tlsFront({ mutual: true });
      const authority = { "ca.crt": "ca.crt" };
      const without = await pulled(at(front.port), {
        certificates: certificates(front.port, authority),
        maxAttempts: 1,
      });
      expect(without).toStartWith(`Get "https://${ELSEWHERE}:${front.port}/v2/"`);
      const own = { ...authority, "client.cert": "client.crt", "client.key": "client.key" };
      expect(await pulled(at(front.port), { certificates: certificates(front.port, own) })).toBe(digest);
      const half = { ...authority, "client.cert": "client.crt" };
      const missing = await pulled(at(front.port), { certificates: certificates(front.port, half) });
      expect(missing).toContain("missing client.key for client.cert");
    },
    TIMEOUT,
  );
});

test(
  "a registry without TLS is spoken to only when it is named insecure, by name or by network",
  async () => {
    using front = Bun.serve({ port: 0, hostname: "0.0.0.0", fetch: forward });
    expect(await pulled(at(front.port), { maxAttempts: 1 })).toContain(`https://${ELSEWHERE}:${front.port}/v2/`);
    expect(await pulled(at(front.port), { insecureRegistries: [`${ELSEWHERE}:${front.port}`] })).toBe(digest);
    expect(await pulled(at(front.port), { insecureRegistries: ["0.0.0.0/8"] })).toBe(digest);
  },
  TIMEOUT,
);

test(
  "a registry that knows no ranges is pulled from whole",
  async () => {
    const asked: string[] = [];
    using front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        asked.push(request.headers.get("range") ?? "");
        const headers = { accept: request.headers.get("accept") ?? "*/*" };
        const answer = await fetch(`${registry.url}${new URL(request.url).pathname}`, { headers });
        const kept = new Headers(answer.headers);
        kept.delete("accept-ranges");
        return new Response(await answer.bytes(), { status: answer.status, headers: kept });
      },
    });
    expect(await pulled(named(front.port ?? 0, "app:v1"), { maxAttempts: 1 })).toBe(digest);
    expect(asked.filter((range) => range !== "").length).toBeGreaterThan(0);
  },
  TIMEOUT,
);

test(
  "images of Docker Hub come from a mirror, without the user's login",
  async () => {
    const seen: (string | null)[] = [];
    using front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        seen.push(request.headers.get("authorization"));
        return forward(request);
      },
    });
    // The first knows nothing; the second has it.
    using empty = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("", { status: 404 }) });
    const mirrors = [empty, front].map(({ port }) => `http://127.0.0.1:${port}`);
    const login = { username: "ann", password: "secret" };
    expect(await pulled(parseReference("app:v1"), { mirrors }, login)).toBe(digest);
    expect(new Set(seen)).toEqual(new Set([null]));
  },
  TIMEOUT,
);

describe("a proxy", () => {
  /** One that knows absolute addresses and CONNECT; tells what it was asked for. */
  async function proxy() {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? "");
      asked.push(`${request.method} ${url.host}`);
      const { "proxy-connection": _, ...headers } = request.headers;
      const onward = httpRequest(url, { method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    server.on("connect", (request, client, head) => {
      asked.push(`CONNECT ${request.url}`);
      const [host = "", port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.write(head);
        upstream.pipe(client).pipe(upstream);
      });
      for (const socket of [upstream, client]) socket.on("error", () => client.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
  }

  test(
    "is asked for what is elsewhere, with TLS and without, and not for what NO_PROXY names",
    async () => {
      const { asked, url, close } = await proxy();
      using plain = Bun.serve({ port: 0, hostname: "0.0.0.0", fetch: forward });
      using encrypted = tlsFront({ mutual: false });
      const proxies = { http: url, https: url };
      const open = { proxies, insecureRegistries: [`${ELSEWHERE}:${plain.port}`] };
      expect(await pulled(at(plain.port), open)).toBe(digest);
      expect(asked).toContain(`GET ${ELSEWHERE}:${plain.port}`);
      asked.length = 0;
      const own = certificates(encrypted.port, { "ca.crt": "ca.crt" });
      expect(await pulled(at(encrypted.port), { proxies, certificates: own })).toBe(digest);
      expect(new Set(asked)).toEqual(new Set([`CONNECT ${ELSEWHERE}:${encrypted.port}`]));
      asked.length = 0;
      const none = { proxies: { ...proxies, none: ELSEWHERE }, certificates: own };
      expect(await pulled(at(encrypted.port), none)).toBe(digest);
      expect(asked).toEqual([]);
      close();
    },
    TIMEOUT,
  );
});

describe("a token service of OAuth 2", () => {
  /** Gives identity tokens for passwords, and short-lived tokens for these. */
  function front(lives: number) {
    const posts: URLSearchParams[] = [];
    let left = 0;
    let refused = 0;
    const server: Bun.Server<undefined> = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request): Promise<Response> {
        const url = new URL(request.url);
        if (url.pathname === "/token") {
          const form = request.method === "POST" ? new URLSearchParams(await request.text()) : undefined;
          if (form !== undefined) posts.push(form);
          const knows = `Basic ${Buffer.from("ann:secret").toString("base64")}`;
          const isKnown = form?.get("refresh_token") === "identity" || request.headers.get("authorization") === knows;
          if (!isKnown) return Response.json({ details: "unknown" }, { status: 401 });
          left = lives;
          const wanted = url.searchParams.get("offline_token") === "true" && { refresh_token: "identity" };
          return Response.json({ access_token: "short", expires_in: 300, ...wanted });
        }
        const sent = request.headers.get("authorization");
        if (sent === "Bearer given" || (sent === "Bearer short" && left-- > 0)) return await forward(request);
        if (sent !== null) refused++;
        const challenge = `Bearer realm="http://127.0.0.1:${server.port}/token",service="test"`;
        return Response.json({ errors: [] }, { status: 401, headers: { "WWW-Authenticate": challenge } });
      },
    });
    return { server, posts, refused: () => refused };
  }

  test(
    "gives an identity token in place of the password, which is enough from then on, also when tokens end early",
    async () => {
      const { server, posts, refused } = front(2);
      await using fixture = await StoreFixture.open();
      const credentials = { username: "ann", password: "secret" };
      const login = await fixture.client.login(`localhost:${server.port}`, { credentials, signal });
      expect(login).toEqual({ identityToken: "identity" });
      const name = named(server.port ?? 0, "app:v1");
      expect(await pulled(name, {}, { identityToken: "identity" })).toBe(digest);
      expect(Object.fromEntries(posts[0] ?? [])).toEqual({
        grant_type: "refresh_token",
        refresh_token: "identity",
        service: "test",
        scope: "repository:app:pull",
        client_id: "slipway",
      });
      expect(refused()).toBeGreaterThan(0);
      expect(await pulled(name, {}, { identityToken: "other" })).toContain("pull access denied");
      expect(await pulled(name, {}, { registryToken: "given" })).toBe(digest);
      expect(await pulled(name, {}, { registryToken: "wrong" })).toContain("pull access denied");
      await server.stop(true);
    },
    TIMEOUT,
  );
});
