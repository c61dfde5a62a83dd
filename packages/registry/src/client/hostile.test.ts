import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import { digestOf } from "@slipway/oci";
import { named, StoreFixture } from "./testing/store-fixture.ts";

const signal = new AbortController().signal;
const OCI = "application/vnd.oci.image";
const TIMEOUT = 30_000;

type Answer = () => Response;

/** A registry that says what the test wants. */
const answers = new Map<string, Answer>();
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/v2/") return new Response("{}");
    return answers.get(pathname)?.() ?? Response.json({ errors: [{ code: "MANIFEST_UNKNOWN" }] }, { status: 404 });
  },
});
const port = server.port ?? 0;
afterAll(() => server.stop(true));
beforeEach(() => answers.clear());

function serve(path: string, content: string | Uint8Array<ArrayBuffer>, type = "application/octet-stream"): string {
  answers.set(`/v2/bad/${path}`, () => new Response(content, { headers: { "Content-Type": type } }));
  return content.toString();
}

function document(
  reference: string,
  value: unknown,
  type: string,
): { digest: string; size: number; mediaType: string } {
  const text = JSON.stringify(value);
  const digest = digestOf(text);
  serve(`manifests/${reference}`, text, type);
  serve(`manifests/${digest}`, text, type);
  return { digest, size: text.length, mediaType: type };
}

function blob(content: string | Uint8Array<ArrayBuffer>): { digest: string; size: number } {
  const digest = digestOf(content);
  serve(`blobs/${digest}`, content);
  return { digest, size: Buffer.byteLength(content) };
}

const config = (diffIds: readonly string[] = []) => ({
  mediaType: `${OCI}.config.v1+json`,
  ...blob(JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } })),
});

function manifest(layers: readonly unknown[], diffIds: readonly string[] = [], more: object = {}) {
  const type = `${OCI}.manifest.v1+json`;
  return document("v1", { schemaVersion: 2, mediaType: type, config: config(diffIds), layers, ...more }, type);
}

/** What the pull of `bad:v1` fails with; the store is unharmed. */
async function failure(settings: { stallTimeout?: number } = {}): Promise<SlipwayError> {
  await using fixture = await StoreFixture.open({ maxAttempts: 2, ...settings });
  const error = await fixture.client.pull(named(port, "bad:v1"), { signal }).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(await fixture.problems()).toEqual([]);
  expect(fixture.store.images.list()).toEqual([]);
  if (!(error instanceof SlipwayError)) throw new Error(`no clear failure: ${error}`);
  return error;
}

const layer = (mediaType: string, content: { digest: string; size: number }) => ({ mediaType, ...content });
const HEX = "0".repeat(64);

describe("what is no image of ours is refused in words", () => {
  test("schema 1", async () => {
    document("v1", { schemaVersion: 1, name: "bad" }, "application/vnd.docker.distribution.manifest.v1+prettyjws");
    expect((await failure()).message).toContain("manifest schema 1");
  });

  test("foreign layers", async () => {
    const type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    manifest([layer(type, { digest: `sha256:${HEX}`, size: 5 })], [`sha256:${HEX}`]);
    expect((await failure()).message).toContain("is a foreign layer");
  });

  test("encrypted layers", async () => {
    manifest([layer(`${OCI}.layer.v1.tar+gzip+encrypted`, { digest: `sha256:${HEX}`, size: 5 })], [`sha256:${HEX}`]);
    expect((await failure()).message).toContain("is encrypted");
  });

  test("artifacts", async () => {
    const type = `${OCI}.manifest.v1+json`;
    const empty = { mediaType: "application/vnd.oci.empty.v1+json", ...blob("{}") };
    document("v1", { schemaVersion: 2, mediaType: type, artifactType: "text/recipe", config: empty, layers: [] }, type);
    expect((await failure()).message).toContain("an artifact of the type text/recipe");
  });

  test("indexes that lie in each other without end", async () => {
    const type = `${OCI}.index.v1+json`;
    let inner = manifest([]);
    const platform = { os: "linux", architecture: "amd64" };
    for (let depth = 0; depth < 8; depth++) {
      inner = document("v1", { schemaVersion: 2, mediaType: type, manifests: [{ ...inner, platform }] }, type);
    }
    expect((await failure()).message).toContain("deep in each other");
  });

  test("an index without this platform", async () => {
    const type = `${OCI}.index.v1+json`;
    const platform = { os: "plan9", architecture: "vax" };
    document("v1", { schemaVersion: 2, mediaType: type, manifests: [{ ...manifest([]), platform }] }, type);
    const error = await failure();
    expect(error.message).toContain("no matching manifest for linux/amd64");
    expect(error.hint).toContain("plan9/vax");
  });
});

describe("a registry that means harm", () => {
  test("cannot send a manifest without end", async () => {
    const piece = new Uint8Array(1024 * 1024).fill(32);
    let sent = 0;
    answers.set("/v2/bad/manifests/v1", () => {
      const body = new ReadableStream({
        pull(controller) {
          controller.enqueue(piece);
          sent += piece.length;
        },
      });
      return new Response(body, { headers: { "Content-Type": `${OCI}.manifest.v1+json` } });
    });
    expect((await failure()).message).toContain("is larger than");
    expect(sent).toBeLessThan(100 * 1024 * 1024);
  });

  test(
    "cannot send a layer that is longer than it was said to be",
    async () => {
      const digest = `sha256:${HEX}`;
      manifest([layer(`${OCI}.layer.v1.tar`, { digest, size: 1000 })], [`sha256:${"1".repeat(64)}`]);
      answers.set(`/v2/bad/blobs/${digest}`, () => {
        const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(100_000)) });
        return new Response(body);
      });
      expect((await failure()).code).toBe("corrupt");
    },
    TIMEOUT,
  );

  test(
    "cannot hold a pull with a byte now and then",
    async () => {
      const digest = `sha256:${HEX}`;
      manifest([layer(`${OCI}.layer.v1.tar`, { digest, size: 1_000_000 })], [`sha256:${"1".repeat(64)}`]);
      answers.set(`/v2/bad/blobs/${digest}`, () => {
        const body = new ReadableStream({
          async pull(controller) {
            await Bun.sleep(30);
            controller.enqueue(new Uint8Array(1));
          },
        });
        return new Response(body);
      });
      expect((await failure({ stallTimeout: 200 })).message).toContain("stalled");
    },
    TIMEOUT,
  );

  test("cannot give a layer that its image does not name", async () => {
    const bytes = new Uint8Array(1024);
    manifest([layer(`${OCI}.layer.v1.tar`, blob(bytes))], [`sha256:${HEX}`]);
    expect((await failure()).message).toContain("its image expects");
  });

  test("cannot put control characters on the terminal", async () => {
    answers.set("/v2/bad/manifests/v1", () =>
      Response.json({ errors: [{ code: "DENIED", message: "\u001b[2Jgone\r\nX-Evil: 1" }] }, { status: 403 }),
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect((await failure()).message).not.toMatch(/[\u0000-\u001f]/);
  });

  test("cannot slip a header in with a token", async () => {
    const token = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => Response.json({ token: "a\r\nX-Evil: 1" }),
    });
    answers.set("/v2/bad/manifests/v1", () => {
      const challenge = `Bearer realm="http://127.0.0.1:${token.port}/token"`;
      return new Response("", { status: 401, headers: { "WWW-Authenticate": challenge } });
    });
    expect((await failure()).message).toContain("did not include a token");
    token.stop(true);
  });
});

test("content may be named by sha512", async () => {
  await using source = await StoreFixture.open();
  const image = await source.makeImage("local:v1", ["by another algorithm"]);
  const [layerDescriptor] = image.manifest.layers;
  if (layerDescriptor === undefined) throw new Error("no layer");
  const tar = await source.store.blobs.readAll(layerDescriptor.digest);
  const configBytes = await source.store.blobs.readAll(image.id);
  const named512 = (bytes: Uint8Array) => {
    const digest = digestOf(bytes, "sha512");
    serve(`blobs/${digest}`, new Uint8Array(bytes));
    return { digest, size: bytes.length };
  };
  const type = `${OCI}.manifest.v1+json`;
  const made = {
    schemaVersion: 2,
    mediaType: type,
    config: { mediaType: `${OCI}.config.v1+json`, ...named512(configBytes) },
    layers: [layer(`${OCI}.layer.v1.tar`, named512(tar))],
  };
  const text = JSON.stringify(made);
  const digest = digestOf(text, "sha512");
  serve(`manifests/${digest}`, text, type);
  await using target = await StoreFixture.open();
  const pulled = await target.client.pull({ ...named(port, "bad"), digest }, { signal });
  expect(pulled.image.id).toBe(image.id);
  expect(pulled.image.repoDigests.map((each) => each.digest)).toEqual([digest]);
  expect(await target.problems()).toEqual([]);
});
