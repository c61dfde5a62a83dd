import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkListenPolicy } from "../listen-policy.ts";
import { TestRegistry } from "../testing/registry-fixture.ts";
import { PasswordCheck } from "./credentials.ts";
import { Tokens } from "./tokens.ts";
import { parseGrant, Users } from "./users.ts";

const basic = (user: string, password: string) => ({ Authorization: `Basic ${btoa(`${user}:${password}`)}` });
const hash = (password: string) => Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });

async function withUsers(): Promise<TestRegistry> {
  const registry = await TestRegistry.start({ auth: { kind: "token" } });
  const users = new Users(registry.storage.records);
  await users.put({ name: "ann", robot: false, hash: await hash("right"), grants: [parseGrant("team/*:pull,push")] });
  await users.put({
    name: "ci",
    robot: true,
    hash: await hash("robot"),
    grants: [parseGrant("*:*")],
    expires: Date.now() + 500,
  });
  await users.put({ name: "anonymous", robot: false, grants: [parseGrant("public/*:pull")] });
  return registry;
}

async function tokenFor(registry: TestRegistry, scope: string, headers?: Record<string, string>): Promise<Response> {
  return await registry.fetch(`/token?service=slipway-registry&scope=${scope}`, headers && { headers });
}

const bearer = async (response: Response) => ({
  Authorization: `Bearer ${((await response.json()) as { token: string }).token}`,
});

test("an htpasswd file lets its users in, nobody else, and is read again when it changes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-htpasswd-"));
  const file = join(folder, "users");
  // As Apache's tool marks it.
  writeFileSync(file, `ann:${(await hash("right")).replace("$2b$", "$2y$")}\n`);
  try {
    await using registry = await TestRegistry.start({ auth: { kind: "htpasswd", file } });
    const refused = await registry.fetch("/v2/");
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
      401,
      expect.stringContaining("Basic realm="),
    ]);
    expect((await registry.fetch("/v2/", { headers: basic("ann", "wrong") })).status).toBe(401);
    expect((await registry.fetch("/v2/", { headers: basic("eve", "right") })).status).toBe(401);
    expect((await registry.fetch("/v2/", { headers: basic("ann", "right") })).status).toBe(200);
    writeFileSync(file, `bob:${await hash("other")}\n`);
    expect((await registry.fetch("/v2/", { headers: basic("ann", "right") })).status).toBe(401);
    expect((await registry.fetch("/v2/", { headers: basic("bob", "other") })).status).toBe(200);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a token carries of what was asked for what its user may do, and opens nothing else", async () => {
  await using registry = await withUsers();
  const challenge = (await registry.fetch("/v2/team/app/manifests/v1")).headers.get("www-authenticate");
  expect(challenge).toBe(
    `Bearer realm="${registry.url}/token",service="slipway-registry",scope="repository:team/app:pull"`,
  );
  const headers = await bearer(await tokenFor(registry, "repository:team/app:pull,push,delete", basic("ann", "right")));
  expect((await registry.fetch("/v2/team/app/blobs/uploads/", { method: "POST", headers })).status).toBe(202);
  expect((await registry.fetch("/v2/team/app/manifests/v1", { method: "DELETE", headers })).status).toBe(401);
  expect((await registry.fetch("/v2/team/other/manifests/v1", { headers })).status).toBe(401);
  expect((await registry.fetch("/v2/", { headers })).status).toBe(200);
});

test("a wrong password gets no token, by GET or by POST", async () => {
  await using registry = await withUsers();
  expect((await tokenFor(registry, "repository:team/app:pull", basic("ann", "wrong"))).status).toBe(401);
  const form = (password: string) =>
    new URLSearchParams({ grant_type: "password", username: "ann", password, service: "x" });
  expect((await registry.fetch("/token", { method: "POST", body: form("wrong") })).status).toBe(401);
  expect((await registry.fetch("/token", { method: "POST", body: form("right") })).status).toBe(200);
});

test("without a login only what is anonymous can be done", async () => {
  await using registry = await withUsers();
  const headers = await bearer(await tokenFor(registry, "repository:public/app:pull,push"));
  expect((await registry.fetch("/v2/public/app/manifests/v1", { headers })).status).toBe(404);
  expect((await registry.fetch("/v2/public/app/blobs/uploads/", { method: "POST", headers })).status).toBe(401);
  expect((await registry.fetch("/v2/team/app/manifests/v1", { headers })).status).toBe(401);
  // Clients learn from this one that there is something to log in to.
  expect((await registry.fetch("/v2/")).status).toBe(401);
});

test("a robot's account ends", async () => {
  await using registry = await withUsers();
  const ask = () => registry.fetch("/v2/", { headers: basic("ci", "robot") });
  expect((await ask()).status).toBe(200);
  await Bun.sleep(500);
  expect((await ask()).status).toBe(401);
});

test("a digest alone mounts nothing from a repository that one may not read", async () => {
  await using registry = await withUsers();
  const robot = basic("ci", "robot");
  const begun = await registry.fetch("/v2/secret/app/blobs/uploads/", { method: "POST", headers: robot });
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update("secret").digest("hex")}`;
  const put = { method: "PUT", headers: robot, body: "secret" };
  expect((await registry.fetch(`${begun.headers.get("location")}?digest=${digest}`, put)).status).toBe(201);
  const headers = basic("ann", "right");
  for (const from of ["", "&from=secret/app"]) {
    const mount = await registry.fetch(`/v2/team/app/blobs/uploads/?mount=${digest}${from}`, {
      method: "POST",
      headers,
    });
    expect(mount.status).toBe(202);
  }
});

test("the catalog shows what one may read", async () => {
  await using registry = await withUsers();
  const users = new Users(registry.storage.records);
  await users.put({ name: "root", robot: false, hash: await hash("root"), grants: [parseGrant("*:*")] });
  const { commit } = registry.storage.records;
  const put = (name: string) => ({ put: `catalog/${name.replace("/", "!")}`, value: new Uint8Array() });
  await commit.call(registry.storage.records, { steps: [["a/x", "team/b", "team/c", "z"].map(put)] });
  const list = async (headers: Record<string, string>, query = "") =>
    (await (await registry.fetch(`/v2/_catalog${query}`, { headers })).json()) as object;
  expect(await list(basic("ann", "right"))).toEqual({ repositories: ["team/b", "team/c"] });
  expect(await list(basic("root", "root"), "?n=2&last=a/x")).toEqual({ repositories: ["team/b", "team/c"] });
});

test("tokens that are changed, foreign or old are refused", async () => {
  await using registry = await withUsers();
  const tokens = await Tokens.open(registry.storage.records, "slipway-registry");
  const token = tokens.issue("ann", [{ name: "app", actions: ["pull"] }]);
  expect(tokens.read(token)).toMatchObject({ subject: "ann" });
  const [header, payload = "", signature] = token.split(".");
  const forged = Buffer.from(payload, "base64url").toString().replace("pull", "push");
  expect(tokens.read(`${header}.${Buffer.from(forged).toString("base64url")}.${signature}`)).toBeUndefined();
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
  expect(tokens.read(`${none}.${payload}.`)).toBeUndefined();
  expect(tokens.read(token, Date.now() + 301_000)).toBeUndefined();
  await using other = await TestRegistry.start();
  expect((await Tokens.open(other.storage.records, "slipway-registry")).read(token)).toBeUndefined();
});

test("without authentication it listens to this machine alone, unless it is asked for by name", () => {
  const check = (hostname: string, hasAuth = false, allowOpen = false) =>
    checkListenPolicy({ hostname, hasAuth, allowOpen });
  for (const hostname of ["127.0.0.1", "localhost", "::1"]) expect(() => check(hostname)).not.toThrow();
  for (const hostname of ["0.0.0.0", "192.0.2.1", "::", "example.com"]) {
    expect(() => check(hostname)).toThrow("without authentication");
    expect(() => check(hostname, true)).not.toThrow();
    expect(() => check(hostname, false, true)).not.toThrow();
  }
});

test("replicas that start at the same moment accept each other's tokens soon", async () => {
  await using registry = await TestRegistry.start({});
  const { records } = registry.storage;
  // Neither has found a key; the one that is slow writes its own over the other's.
  const first = Promise.withResolvers<void>();
  const slow = Object.create(records, {
    get: { value: records.get.bind(records) },
    commit: {
      value: (change: Parameters<typeof records.commit>[0]) => first.promise.then(() => records.commit(change)),
    },
  }) as typeof records;
  const late = Tokens.open(slow, "service", 1);
  const early = await Tokens.open(records, "service", 20);
  first.resolve();
  const tokens = [early, await late] as const;
  const accepts = (by: Tokens, of: Tokens) => by.read(of.issue("ann", [])) !== undefined;
  while (!accepts(tokens[0], tokens[1])) await Bun.sleep(5);
  expect(accepts(tokens[1], tokens[0])).toBe(true);
});

test("how fast a wrong login is answered does not tell whether its user is known", async () => {
  const check = new PasswordCheck();
  const known = await hash("right");
  const time = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    for (let round = 0; round < 5; round++) await work();
    return performance.now() - began;
  };
  const wrong = await time(() => check.isRight("wrong", known, known));
  // A hash of the usual cost takes sixty times as long as these.
  expect(await time(() => check.isRight("wrong", undefined, known))).toBeLessThan(20 * wrong);
});
