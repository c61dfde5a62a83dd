import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256, TestRegistry } from "./testing/registry-fixture.ts";

test("health, readiness and metrics are told", async () => {
  await using registry = await TestRegistry.start();
  await registry.pushImage("app", "v1");
  await registry.fetch("/v2/app/manifests/v1");
  expect([(await registry.fetch("/healthz")).status, (await registry.fetch("/readyz")).status]).toEqual([200, 200]);
  const metrics = await (await registry.fetch("/metrics")).text();
  expect(metrics).toContain('slipway_registry_request_seconds_count{method="GET",route="manifest",status="200"} 1\n');
  expect(metrics).toContain("slipway_registry_uploads_open 0\n");
});

test("where users log in, metrics are told at an address of their own alone", async () => {
  const operations = { hostname: "127.0.0.1", port: 0 };
  await using registry = await TestRegistry.start({ auth: { kind: "token" } }, { operations });
  expect((await registry.fetch("/metrics")).status).toBe(404);
  const inside = `http://127.0.0.1:${registry.server.operationsPort}`;
  expect(await (await fetch(`${inside}/metrics`)).text()).toContain("slipway_registry_requests_in_flight");
  expect([(await fetch(`${inside}/readyz`)).status, (await fetch(`${inside}/v2/`)).status]).toEqual([200, 404]);
});

test("each request is a line of JSON in the access log", async () => {
  const lines: string[] = [];
  await using registry = await TestRegistry.start({ access: (line) => lines.push(line) });
  await registry.fetch("/v2/app/manifests/v1", { headers: { "User-Agent": 'a "quoted"\tagent' } });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      method: "GET",
      path: "/v2/app/manifests/v1",
      route: "manifest",
      status: 404,
      peer: "127.0.0.1",
      agent: 'a "quoted"\tagent',
    },
  ]);
});

test("webhooks are told of pushes, also when they fail at first", async () => {
  const told: { action: string; target: { repository: string; tag?: string } }[] = [];
  const arrived = Promise.withResolvers<void>();
  let isDown = true;
  const receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (isDown) {
        isDown = false;
        return new Response("", { status: 500 });
      }
      told.push(...((await request.json()) as { events: typeof told }).events);
      if (told.some(({ target }) => target.tag === "v1")) arrived.resolve();
      return new Response("");
    },
  });
  const webhooks = [{ url: `http://127.0.0.1:${receiver.port}/`, headers: {}, actions: ["push"] }];
  try {
    await using registry = await TestRegistry.start({ rules: { webhooks } });
    await registry.pushImage("app", "v1");
    await arrived.promise;
    expect(told.map(({ action }) => action)).toEqual(["push", "push", "push"]);
    expect(told.at(-1)?.target).toMatchObject({ repository: "app", tag: "v1" });
  } finally {
    await receiver.stop(true);
  }
});

test("a quota bounds what a repository holds; blobs that it holds already count once", async () => {
  const quotas = [{ repositories: "small/*", limit: 100 }];
  await using registry = await TestRegistry.start({ rules: { quotas } });
  await registry.pushBlob("small/app", "x".repeat(60));
  await registry.pushBlob("small/app", "x".repeat(60));
  const refused = await registry.fetch(`/v2/small/app/blobs/uploads/?digest=${sha256("y".repeat(60))}`, {
    method: "POST",
    body: "y".repeat(60),
  });
  expect([refused.status, await refused.json()]).toMatchObject([403, { errors: [{ code: "DENIED" }] }]);
  await registry.pushBlob("small/other", "y".repeat(60));
  const mount = `/v2/small/app/blobs/uploads/?mount=${sha256("y".repeat(60))}&from=small/other`;
  expect((await registry.fetch(mount, { method: "POST" })).status).toBe(403);
  await registry.pushBlob("large/app", "y".repeat(1000));
});

test("a copy of an upstream registry is fetched once, follows its tags, and is served when the upstream is gone", async () => {
  const upstream = await TestRegistry.start();
  let isUp = true;
  try {
    const digest = await upstream.pushImage("library/app", "v1", "upstream bytes");
    const upstreams = [{ namespace: "up.example", url: upstream.url, insecure: true, isDefault: false, ttl: 0 }];
    await using registry = await TestRegistry.start({ rules: { upstreams } });
    const byNamespace = "/v2/library/app/manifests/v1?ns=up.example";
    expect((await registry.fetch(byNamespace)).headers.get("docker-content-digest")).toBe(digest);
    const blob = `/v2/up.example/library/app/blobs/${sha256("upstream bytes")}`;
    expect(await (await registry.fetch(blob)).text()).toBe("upstream bytes");
    const moved = await upstream.pushImage("library/app", "v1", "other bytes");
    expect((await registry.fetch(byNamespace)).headers.get("docker-content-digest")).toBe(moved);
    expect((await registry.fetch("/v2/library/app/manifests/v1?ns=other.example")).status).toBe(404);
    expect((await registry.fetch("/v2/library/app/manifests/none?ns=up.example")).status).toBe(404);
    const push = await registry.fetch("/v2/up.example/library/app/blobs/uploads/", { method: "POST" });
    expect(push.status).toBe(405);
    await upstream[Symbol.asyncDispose]();
    isUp = false;
    const stale = await registry.fetch(byNamespace);
    expect([stale.status, stale.headers.get("warning")]).toEqual([200, expect.stringContaining("299 - ")]);
    expect(await (await registry.fetch(blob)).text()).toBe("upstream bytes");
    expect((await registry.fetch(`/v2/library/app/blobs/${sha256("other bytes")}?ns=up.example`)).status).toBe(503);
  } finally {
    if (isUp) await upstream[Symbol.asyncDispose]();
  }
});

test("what is here is served while the upstream limits requests, what is not is answered with 429", async () => {
  await using origin = await TestRegistry.start();
  const digest = await origin.pushImage("library/app", "v1");
  let isLimiting = false;
  const upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      if (isLimiting) return new Response("{}", { status: 429, headers: { "Retry-After": "30" } });
      const { pathname } = new URL(request.url);
      return fetch(origin.url + pathname, { method: request.method, headers: request.headers });
    },
  });
  try {
    const url = `http://127.0.0.1:${upstream.port}`;
    const upstreams = [{ namespace: "up.example", url, insecure: true, isDefault: true, ttl: 0 }];
    await using registry = await TestRegistry.start({ rules: { upstreams } });
    // The way of Docker's registry-mirrors: names without the upstream.
    const manifest = () => registry.fetch("/v2/library/app/manifests/v1");
    expect((await manifest()).headers.get("docker-content-digest")).toBe(digest);
    isLimiting = true;
    const stale = await manifest();
    expect([stale.status, stale.headers.get("warning")]).toEqual([200, expect.stringContaining("299 - ")]);
    expect((await registry.fetch("/v2/library/app/manifests/v2")).status).toBe(429);
  } finally {
    await upstream.stop(true);
  }
}, 30_000);

test("an upload that is under way when the registry ends is finished first", async () => {
  const registry = await TestRegistry.start();
  const begun = await registry.fetch("/v2/app/blobs/uploads/", { method: "POST" });
  const half = Promise.withResolvers<void>();
  const body = new ReadableStream({
    async pull(controller) {
      controller.enqueue(new TextEncoder().encode("first "));
      await half.promise;
      controller.enqueue(new TextEncoder().encode("second"));
      controller.close();
    },
  });
  const sending = registry.fetch(begun.headers.get("location") ?? "", { method: "PATCH", body });
  await Bun.sleep(200);
  const ending = registry[Symbol.asyncDispose]();
  half.resolve();
  expect((await sending).headers.get("range")).toBe("0-11");
  await ending;
});

test("a certificate is changed while the registry serves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-tls-"));
  const pair = (name: string) => {
    const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=IP:127.0.0.1 -keyout ${folder}/key -out ${folder}/cert`;
    expect(spawnSync("openssl", args.split(" ")).status).toBe(0);
    return { cert: readFileSync(join(folder, "cert"), "utf8"), key: readFileSync(join(folder, "key"), "utf8") };
  };
  const [first, second] = [pair("first"), pair("second")];
  try {
    await using registry = await TestRegistry.start({}, { tls: first });
    const url = `https://127.0.0.1:${registry.server.port}/v2/`;
    const ask = (ca: string) =>
      fetch(url, { tls: { ca }, keepalive: false }).then(
        ({ status }) => status,
        () => "refused",
      );
    expect(await ask(first.cert)).toBe(200);
    registry.server.reload(second);
    expect(await ask(second.cert)).toBe(200);
    expect(await ask(first.cert)).toBe("refused");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
