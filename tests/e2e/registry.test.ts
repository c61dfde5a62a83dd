import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Output, run, SLIPWAY } from "./harness.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-e2e-registry-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const registry = (argv: string[], stdin = ""): Promise<Output> => run([SLIPWAY, "registry", ...argv], { stdin });

/** `slipway registry serve` at a free port; ends it with SIGTERM and expects that it ends well. */
async function serving(more: string[], work: (url: string) => Promise<void>): Promise<void> {
  const child = Bun.spawn([SLIPWAY, "registry", "serve", "--listen", "127.0.0.1:0", ...more], {
    stdout: "ignore",
    stderr: "pipe",
  });
  try {
    await work(`http://${await addressIn(child.stderr)}`);
  } finally {
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  }
}

async function addressIn(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    text += new TextDecoder().decode(value);
    const address = /address=(\S+)/.exec(text)?.[1];
    if (address !== undefined) return address;
    if (done) throw new Error(`the registry does not start: ${text}`);
  }
}

async function pushBlob(url: string, content: string, headers: Record<string, string> = {}): Promise<Response> {
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}`;
  return await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: "POST", body: content, headers });
}

test("serve keeps what was pushed; gc shows its plan, then carries it out, beside the running registry", async () => {
  const storage = ["--storage", join(folder, "plain")];
  await serving(storage, async (url) => expect((await pushBlob(url, "kept over a restart")).status).toBe(201));
  await serving(storage, async (url) => {
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update("kept over a restart").digest("hex")}`;
    const blob = `${url}/v2/team/app/blobs/${digest}`;
    expect(await (await fetch(blob)).text()).toBe("kept over a restart");
    expect((await registry(["gc", "--plan", ...storage])).stdout).toContain(
      "would remove: 0 tags, 0 manifests, 0 blobs",
    );
    const plan = await registry(["gc", "--plan", "--grace", "1ms", ...storage]);
    expect(plan.stdout).toBe(
      `blob      team/app@${digest} (19B)\nwould remove: 0 tags, 0 manifests, 1 blobs with 19B, 0 strays of crashes, 0 abandoned uploads\n`,
    );
    expect((await fetch(blob)).status).toBe(200);
    expect((await registry(["gc", "--grace", "1ms", ...storage])).stdout).toContain("removed: ");
    expect((await fetch(blob)).status).toBe(404);
  });
}, 60_000);

test("users are made, listed and removed while the registry runs; a robot's password is shown once", async () => {
  const storage = ["--storage", join(folder, "users")];
  await serving(["--token-auth", ...storage], async (url) => {
    expect((await fetch(`${url}/v2/`)).status).toBe(401);
    const robot = await registry([
      "user",
      "add",
      "ci",
      "--robot",
      "--expires",
      "1h",
      "--grant",
      "team/*:pull,push",
      ...storage,
    ]);
    const basic = (name: string, password: string) => ({ Authorization: `Basic ${btoa(`${name}:${password}`)}` });
    expect((await pushBlob(url, "x", basic("ci", robot.stdout.trim()))).status).toBe(201);
    const person = await registry(
      ["user", "add", "ann", "--password-stdin", "--grant", "team/*:pull", ...storage],
      "secret\n",
    );
    expect(person.code).toBe(0);
    expect((await fetch(`${url}/v2/`, { headers: basic("ann", "secret") })).status).toBe(200);
    expect((await pushBlob(url, "y", basic("ann", "secret"))).status).toBe(403);
    const list = (await registry(["user", "ls", ...storage])).stdout;
    expect(list).toMatch(
      /^NAME +KIND +EXPIRES +RIGHTS\nann +user +never +team\/\*:pull\nci +robot +20\S+ +team\/\*:pull,push\n$/,
    );
    expect(list).not.toContain("$2");
    expect((await registry(["user", "rm", "ci", ...storage])).code).toBe(0);
    expect((await pushBlob(url, "z", basic("ci", robot.stdout.trim()))).status).toBe(401);
  });
}, 60_000);

test("wrong uses are refused with what to do", async () => {
  const serve = (...more: string[]) => registry(["serve", "--storage", join(folder, "refused"), ...more]);
  const open = await serve("--listen", "0.0.0.0:0");
  expect([open.code === 0, open.stderr]).toEqual([false, expect.stringContaining("--allow-unauthenticated")]);
  expect((await serve("--listen", "nowhere")).stderr).toContain("host:port");
  expect((await serve("--htpasswd", "x", "--token-auth")).stderr).toContain("exclude each other");
  writeFileSync(join(folder, "rules.json"), '{"retentions": []}');
  expect((await serve("--config", join(folder, "rules.json"))).stderr).toContain("unknown field 'retentions'");
  expect((await registry(["user", "add", "x", "--robot", "--grant", "nonsense"])).stderr).toContain(
    "'team/*:pull,push,delete'",
  );
}, 30_000);
