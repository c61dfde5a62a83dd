import { describe, expect, test } from "bun:test";
import { JsonReader } from "@slipway/base";
import { chainIdsOf, type DiffId, digestOf, isDigest, parseDigest } from "./digest.ts";
import { encodeImageConfig, parseImageConfig } from "./image-config.ts";
import { encodeIndex, encodeManifest, parseManifest } from "./manifest.ts";
import { MEDIA_TYPES } from "./media-types.ts";
import { formatPlatform, parsePlatform, platformMatches } from "./platform.ts";

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const descriptor = { mediaType: MEDIA_TYPES.ociLayer, digest: digestOf("layer"), size: 5 };
const config = { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf("config"), size: 6 };

describe("digests", () => {
  test("both algorithms are known, others and wrong lengths are not", () => {
    expect(isDigest(digestOf("x"))).toBe(true);
    expect(isDigest(digestOf("x", "sha512"))).toBe(true);
    for (const text of [
      "sha256:abc",
      "md5:d41d8cd98f00b204e9800998ecf8427e",
      `sha256:${"A".repeat(64)}`,
      `sha256:${"a".repeat(64)}\n`,
    ]) {
      expect(() => parseDigest(text)).toThrow("invalid digest");
    }
  });

  test("chain IDs follow the specification: the bottom one is its diff ID, the next hashes both", () => {
    const [a, b] = [digestOf("a") as DiffId, digestOf("b") as DiffId];
    expect(chainIdsOf([a, b])).toEqual([a as never, digestOf(`${a} ${b}`) as never]);
  });
});

describe("manifests", () => {
  test("a manifest survives encoding and parsing", () => {
    const manifest = { mediaType: MEDIA_TYPES.ociManifest, config, layers: [descriptor], annotations: { k: "v" } };
    expect(parseManifest(encodeManifest(manifest))).toEqual({ kind: "manifest", ...manifest });
  });

  test("an index survives encoding and parsing, with os.version in the wire form", () => {
    const index = {
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [{ ...descriptor, platform: { os: "windows", architecture: "amd64", osVersion: "10.0" } }],
    };
    const encoded = encodeIndex(index);
    expect(new TextDecoder().decode(encoded)).toContain('"os.version":"10.0"');
    expect(parseManifest(encoded)).toEqual({ kind: "index", ...index });
  });

  test("the announced media type is used when the document has none", () => {
    const parsed = parseManifest(bytes({ schemaVersion: 2, config, layers: [] }), MEDIA_TYPES.dockerManifest);
    expect(parsed).toMatchObject({ kind: "manifest", mediaType: MEDIA_TYPES.dockerManifest });
  });

  test.each([
    ["schema 1", { schemaVersion: 1 }, "schema 1"],
    [
      "an unknown media type",
      { schemaVersion: 2, mediaType: "text/plain" },
      "unknown manifest media type 'text/plain'",
    ],
    [
      "a descriptor without size",
      { schemaVersion: 2, config: { ...config, size: undefined }, layers: [] },
      "manifest: config: size",
    ],
    ["a negative size", { schemaVersion: 2, config: { ...config, size: -1 }, layers: [] }, "expected a natural number"],
    [
      "a bad digest",
      { schemaVersion: 2, config: { ...config, digest: "sha256:../../x" }, layers: [] },
      "invalid digest",
    ],
    ["layers that are no list", { schemaVersion: 2, config, layers: {} }, "expected a list"],
  ])("%s is refused", (_, document, message) => {
    expect(() => parseManifest(bytes(document))).toThrow(message);
  });
});

describe("image configs", () => {
  test("unknown fields are left out and known ones kept", () => {
    const image = parseImageConfig(
      bytes({
        os: "linux",
        architecture: "arm64",
        variant: "v8",
        config: { Cmd: ["sh"], Env: ["A=1"], ExposedPorts: { "80/tcp": {} }, Surprise: 1 },
        rootfs: { type: "layers", diff_ids: [digestOf("x")] },
        history: [{ created_by: "RUN x", empty_layer: true }],
      }),
    );
    expect(image.config).toEqual({ Cmd: ["sh"], Env: ["A=1"], ExposedPorts: { "80/tcp": {} } });
    expect(image.variant).toBe("v8");
    expect(image.history).toEqual([{ created_by: "RUN x", empty_layer: true }]);
  });

  test("the same config always has the same ID", () => {
    const image = parseImageConfig(
      bytes({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } }),
    );
    expect(encodeImageConfig(image).id).toBe(encodeImageConfig(parseImageConfig(encodeImageConfig(image).bytes)).id);
  });

  test.each([
    ["text", "no json"],
    ["a list of numbers as Cmd", { config: { Cmd: [1] }, rootfs: { diff_ids: [] } }],
    ["a diff ID with a path in it", { rootfs: { diff_ids: ["sha256:../../etc"] } }],
    ["a foreign rootfs type", { rootfs: { type: "squashfs", diff_ids: [] } }],
  ])("%s is refused", (_, document) => {
    const content = typeof document === "string" ? new TextEncoder().encode(document) : bytes(document);
    expect(() => parseImageConfig(content)).toThrow();
  });
});

describe("platforms", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm/v7", "linux/arm/v7"],
    ["linux/armhf", "linux/arm/v7"],
    ["aarch64", "linux/arm64"],
  ])("%s is %s", (text, normal) => expect(formatPlatform(parsePlatform(text))).toBe(normal));

  test.each(["", "a/b/c/d", "linux/", "linux/a b"])("'%s' is refused", (text) => {
    expect(() => parsePlatform(text)).toThrow("invalid platform");
  });

  test("arm64 and arm64/v8 match, other variants do not", () => {
    const arm64 = parsePlatform("linux/arm64");
    expect(platformMatches(arm64, { os: "linux", architecture: "arm64", variant: "v8" })).toBe(true);
    expect(platformMatches(arm64, { os: "linux", architecture: "arm64", variant: "v9" })).toBe(false);
  });
});

test("a reader that is not an object is refused by name", () => {
  expect(() => new JsonReader(3, "manifest").field("x")).toThrow("manifest: expected an object, got number");
});
