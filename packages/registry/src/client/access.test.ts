import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isError } from "@slipway/base";
import { formatReference, parsePlatform, parseReference } from "@slipway/oci";
import { TestRegistry } from "../server/testing/registry-fixture.ts";
import { parseChallenges } from "./challenge.ts";
import { proxyFor } from "./proxy.ts";
import { readRetryAfter } from "./retry.ts";
import { named, StoreFixture } from "./testing/store-fixture.ts";

const signal = new AbortController().signal;
const credentials = { username: "ann", password: "secret" };
const TIMEOUT = 30_000;

test("challenges are read as RFC 9110 writes them", () => {
  expect(
    parseChallenges(
      'Basic realm="a, \\"b\\"", Bearer realm="https://t/x",service="s",scope="repository:a/b:pull,push"',
    ),
  ).toEqual([
    { scheme: "basic", parameters: { realm: 'a, "b"' } },
    { scheme: "bearer", parameters: { realm: "https://t/x", service: "s", scope: "repository:a/b:pull,push" } },
  ]);
  expect(parseChallenges("")).toEqual([]);
  expect(parseChallenges('Bearer realm="unended')).toEqual([{ scheme: "bearer", parameters: {} }]);
});

test("Retry-After is seconds or a date", () => {
  expect(readRetryAfter("7", 0)).toBe(7000);
  expect(readRetryAfter("Thu, 01 Jan 1970 00:00:09 GMT", 4000)).toBe(5000);
  expect(readRetryAfter("soon", 0)).toBeUndefined();
});

test("proxies are by scheme, and not for what NO_PROXY names", () => {
  const settings = {
    http: "http://p:1",
    https: "http://p:2",
    none: "inside.example,.corp,10.0.0.0/8,port.example:5000",
  };
  const proxy = (url: string) => proxyFor(new URL(url), settings);
  expect(proxy("http://reg.example/")).toBe("http://p:1");
  expect(proxy("https://reg.example/")).toBe("http://p:2");
  for (const url of ["http://localhost:5000/", "http://127.0.0.1/", "https://a.inside.example/", "https://x.corp/"]) {
    expect(proxy(url)).toBeUndefined();
  }
  expect(proxy("http://10.1.2.3/")).toBeUndefined();
  expect(proxy("https://port.example:5000/")).toBeUndefined();
  expect(proxy("https://port.example/")).toBe("http://p:2");
});

/** A registry in front of a real one that wants tokens of its own token service, each good for a few requests. */
class TokenFront implements Disposable {
  readonly server: Bun.Server<undefined>;
  issued: string[] = [];
  /** How often a token is taken. */
  uses = Number.POSITIVE_INFINITY;
  /** Requests with a token that had ended. */
  refused = 0;
  #left = new Map<string, number>();

  constructor(upstream: string) {
    const front = this;
    this.server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const url = new URL(request.url);
        if (url.pathname === "/token") return front.#issue(request, url);
        const token = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
        const left = front.#left.get(token) ?? 0;
        if (left <= 0) {
          if (token !== "") front.refused++;
          const realm = `http://127.0.0.1:${front.server.port}/token`;
          const challenge = `Bearer realm="${realm}",service="test",scope="${url.pathname}"`;
          return new Response('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', {
            status: 401,
            headers: { "WWW-Authenticate": challenge },
          });
        }
        front.#left.set(token, left - 1);
        const headers = new Headers(request.headers);
        headers.delete("authorization");
        headers.delete("host");
        const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.arrayBuffer();
        const answer = await fetch(`${upstream}${url.pathname}${url.search}`, {
          method: request.method,
          headers,
          ...(body !== undefined && { body }),
        });
        const out = new Headers(answer.headers);
        const location = out.get("location");
        if (location !== null) out.set("location", location.replace(upstream, ""));
        return new Response(answer.body, { status: answer.status, headers: out });
      },
    });
  }

  get port(): number {
    return this.server.port ?? 0;
  }

  #issue(request: Request, url: URL): Response {
    const wanted = `Basic ${Buffer.from("ann:secret").toString("base64")}`;
    if (request.headers.get("authorization") !== wanted) {
      return Response.json({ details: "incorrect username or password" }, { status: 401 });
    }
    const token = crypto.randomUUID();
    this.issued.push(url.searchParams.getAll("scope").join(" "));
    this.#left.set(token, this.uses);
    return Response.json({ token, expires_in: 300 });
  }

  [Symbol.dispose](): void {
    this.server.stop(true);
  }
}

describe("a registry with a token service", () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await TestRegistry.start();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  test(
    "gets one token for each scope, and new ones when they end in the middle",
    async () => {
      using front = new TokenFront(registry.url);
      await using fixture = await StoreFixture.open();
      const name = named(front.port, "team/app:v1");
      await fixture.makeImage(formatReference(name), ["text", 100_000, 50_000]);
      await fixture.client.push(name, { signal, credentials });
      expect(front.issued).toEqual(["repository:team/app:pull,push"]);
      front.uses = 2;
      front.issued = [];
      await using target = await StoreFixture.open();
      await target.client.pull(name, { signal, credentials });
      expect(front.refused).toBeGreaterThan(0);
      expect(front.issued.length).toBeGreaterThan(1);
      expect(await target.problems()).toEqual([]);
    },
    TIMEOUT,
  );

  test("tells who may not log in from who may", async () => {
    using front = new TokenFront(registry.url);
    await using fixture = await StoreFixture.open();
    const address = `localhost:${front.port}`;
    expect(await fixture.client.login(address, { credentials, signal })).toEqual({ identityToken: "" });
    const wrong = { username: "ann", password: "wrong" };
    const error = await fixture.client.login(address, { credentials: wrong, signal }).catch((failure) => failure);
    expect(isError(error, "unauthorized")).toBeTrue();
    expect(error.message).toContain("incorrect username or password");
  });
});

test(
  "credentials do not follow a redirect to another host",
  async () => {
    await using registry = await TestRegistry.start();
    const seen: (string | null)[] = [];
    const storage = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        seen.push(request.headers.get("authorization"));
        const url = new URL(request.url);
        return fetch(`${registry.url}${url.pathname}`, { headers: { range: request.headers.get("range") ?? "" } });
      },
    });
    const front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const url = new URL(request.url);
        if (request.headers.get("authorization") === null) {
          return new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
        }
        if (!url.pathname.includes("/blobs/"))
          return fetch(`${registry.url}${url.pathname}`, { headers: request.headers });
        return Response.redirect(`http://127.0.0.1:${storage.port}${url.pathname}`, 307);
      },
    });
    await using source = await StoreFixture.open();
    const direct = named(Number(new URL(registry.url).port), "app:v1");
    await source.makeImage(formatReference(direct), [10_000]);
    await source.client.push(direct, { signal });
    await using target = await StoreFixture.open();
    await target.client.pull(named(front.port ?? 0, "app:v1"), { signal, credentials });
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen)).toEqual(new Set([null]));
    front.stop(true);
    storage.stop(true);
  },
  TIMEOUT,
);

test(
  "an image of several platforms is pulled for one and pushed on whole",
  async () => {
    await using registry = await TestRegistry.start();
    const port = Number(new URL(registry.url).port);
    await using source = await StoreFixture.open();
    const manifests: unknown[] = [];
    for (const architecture of ["amd64", "s390x"]) {
      const name = named(port, `parts:${architecture}`);
      await source.makeImage(formatReference(name), [`for ${architecture}`], architecture);
      const { digest, size } = await source.client.push(name, { signal });
      const mediaType = "application/vnd.oci.image.manifest.v1+json";
      manifests.push({ mediaType, digest, size, platform: { os: "linux", architecture } });
    }
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 2));
    const index = await source.client.putDocument(named(port, "parts:all"), { bytes, mediaType }, { signal });
    await using target = await StoreFixture.open();
    const s390x = await target.client.pull(named(port, "parts:all"), {
      signal,
      platform: parsePlatform("linux/s390x"),
    });
    expect(s390x.image.config.architecture).toBe("s390x");
    const { image } = await target.client.pull(named(port, "parts:all"), { signal });
    expect(image.config.architecture).toBe("amd64");
    expect(image.target.digest).toBe(index);
    const missing = target.client.pull(named(port, "parts:all"), { signal, platform: parsePlatform("linux/mips") });
    await expect(missing).rejects.toThrow("no matching manifest for linux/mips in the manifest list entries");
    target.store.images.tag(image.id, named(port, "elsewhere:all"));
    expect((await target.client.push(named(port, "elsewhere:all"), { signal })).digest).toBe(index);
    const { platforms } = await target.client.describe(named(port, "elsewhere:all"), { signal });
    expect(platforms.map(({ architecture }) => architecture)).toEqual(["amd64", "s390x"]);
    expect(await target.problems()).toEqual([]);
  },
  TIMEOUT,
);

test(
  "Docker Hub's images come from a mirror that has them",
  async () => {
    await using registry = await TestRegistry.start();
    const port = Number(new URL(registry.url).port);
    await using source = await StoreFixture.open();
    const pushed = named(port, "library/hello:v1");
    await source.makeImage(formatReference(pushed), ["hello"]);
    await source.client.push(pushed, { signal });
    await using target = await StoreFixture.open({ mirrors: ["http://127.0.0.1:1", registry.url], maxAttempts: 1 });
    const { image } = await target.client.pull(parseReference("hello:v1"), { signal });
    expect(image.names.map(formatReference)).toEqual(["docker.io/library/hello:v1"]);
  },
  TIMEOUT,
);

test(
  "a registry with a certificate of its own is trusted when it lies in Docker's place",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "slipway-certs-"));
    const openssl = Bun.spawnSync([
      ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry.test"],
      ...["-addext", "subjectAltName=DNS:localhost"],
      ...["-keyout", join(directory, "key.pem"), "-out", join(directory, "cert.pem")],
    ]);
    expect(openssl.exitCode).toBe(0);
    const certificate = await Bun.file(join(directory, "cert.pem")).text();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: certificate, key: await Bun.file(join(directory, "key.pem")).text() },
      fetch: () => new Response("{}"),
    });
    const { Transport } = await import("./transport.ts");
    const { DEFAULT_SETTINGS } = await import("./settings.ts");
    const ask = (certificates: string, insecure: boolean) =>
      new Transport({ ...DEFAULT_SETTINGS, certificates })
        .send({ method: "GET", url: new URL(`https://localhost:${server.port}/v2/`), signal, insecure })
        .then(
          ({ response }) => response.status,
          (error: Error) => error.message,
        );
    expect(await ask(join(directory, "none"), false)).toContain("failed to verify certificate");
    expect(await ask(join(directory, "none"), true)).toBe(200);
    const trusting = join(directory, `trusting/localhost:${server.port}`);
    mkdirSync(trusting, { recursive: true });
    writeFileSync(join(trusting, "ca.crt"), certificate);
    expect(await ask(join(directory, "trusting"), false)).toBe(200);
    mkdirSync(join(directory, `certs/localhost:${server.port}`), { recursive: true });
    writeFileSync(join(directory, `certs/localhost:${server.port}/half.key`), "x");
    expect(await ask(join(directory, "certs"), false)).toContain("missing half.cert for half.key");
    server.stop(true);
    rmSync(directory, { recursive: true });
  },
  TIMEOUT,
);
