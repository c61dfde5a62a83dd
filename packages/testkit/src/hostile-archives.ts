import { type DiffId, digestOf, encodeImageConfig, hostPlatform } from "@slipway/oci";
import { type TarMember, tarOf } from "./tar-of.ts";

/** An image archive that is wrong somewhere, and what must be said about it. */
export interface HostileArchive {
  readonly name: string;
  readonly tar: () => Uint8Array;
  readonly complaint: RegExp;
}

const LAYER = tarOf([{ name: "hello", type: "file", content: "hello" }]);
const OTHER = tarOf([{ name: "hello", type: "file", content: "other" }]);
const EVIL = tarOf([{ name: "../escaped", type: "file", content: "evil" }]);

function configFor(...layers: readonly Uint8Array[]): Uint8Array {
  const diffIds = layers.map((layer) => digestOf(layer) as DiffId);
  return encodeImageConfig({ ...hostPlatform(), config: {}, diffIds, history: [] }).bytes;
}

const json = (value: unknown) => JSON.stringify(value);
const file = (name: string, content: string | Uint8Array): TarMember => ({ name, type: "file", content });
const manifest = (fields: object = {}) =>
  file(
    "manifest.json",
    json([{ Config: "config.json", RepoTags: ["hostile:latest"], Layers: ["layer.tar"], ...fields }]),
  );

const archive = (name: string, members: readonly TarMember[], complaint: RegExp): HostileArchive => ({
  name,
  tar: () => tarOf(members),
  complaint,
});

export const HOSTILE_ARCHIVES: readonly HostileArchive[] = [
  archive("nothing in it", [], /neither manifest.json nor index.json/),
  archive("manifest.json is not JSON", [file("manifest.json", "[{")], /manifest.json.*not JSON/),
  archive("manifest.json is not JSON at all", [file("manifest.json", "hello")], /manifest.json.*not JSON/),
  archive("manifest.json names no image", [file("manifest.json", "[]")], /names no image/),
  archive("no config", [manifest(), file("layer.tar", LAYER)], /'config.json', which is not in it/),
  archive("no layer", [manifest(), file("config.json", configFor(LAYER))], /'layer.tar', which is not in it/),
  archive(
    "the config is not JSON",
    [manifest(), file("config.json", "not json"), file("layer.tar", LAYER)],
    /config.json.*not JSON/,
  ),
  archive(
    "the config is broken JSON",
    [manifest(), file("config.json", "{]"), file("layer.tar", LAYER)],
    /image config is not JSON/,
  ),
  archive(
    "the config names too few layers",
    [manifest(), file("config.json", configFor()), file("layer.tar", LAYER)],
    /1 layers for an image whose config names 0/,
  ),
  archive(
    "a wrong layer",
    [manifest(), file("config.json", configFor(LAYER)), file("layer.tar", OTHER)],
    /has the diff ID .* expects/,
  ),
  archive(
    "a layer that escapes",
    [manifest(), file("config.json", configFor(EVIL)), file("layer.tar", EVIL)],
    /'\.\.\/escaped'/,
  ),
  archive(
    "a config under another digest",
    [
      manifest({ Config: `${"a".repeat(64)}.json` }),
      file(`${"a".repeat(64)}.json`, configFor(LAYER)),
      file("layer.tar", LAYER),
    ],
    /has the digest/,
  ),
  archive(
    "a name that is none",
    [manifest({ RepoTags: ["UPPER:case"] }), file("config.json", configFor(LAYER)), file("layer.tar", LAYER)],
    /invalid reference format/,
  ),
  archive(
    "two manifests",
    [manifest(), manifest(), file("config.json", configFor(LAYER)), file("layer.tar", LAYER)],
    /'manifest.json' appears twice/,
  ),
  archive(
    "a file outside",
    [manifest({ Layers: ["../layer.tar"] }), file("../layer.tar", LAYER)],
    /'\.\.\/layer.tar' has '\.\.'/,
  ),
  archive(
    "a link to the host",
    [
      manifest(),
      file("config.json", configFor(LAYER)),
      { name: "layer.tar", type: "symlink", linkname: "/etc/shadow" },
    ],
    /absolute path '\/etc\/shadow'/,
  ),
  archive(
    "a link outside",
    [
      manifest(),
      file("config.json", configFor(LAYER)),
      { name: "layer.tar", type: "symlink", linkname: "../../etc/shadow" },
    ],
    /outside of the archive/,
  ),
  archive(
    "links in a circle",
    [
      manifest(),
      file("config.json", configFor(LAYER)),
      { name: "layer.tar", type: "symlink", linkname: "b" },
      { name: "b", type: "symlink", linkname: "layer.tar" },
    ],
    /'layer.tar', which is not in it/,
  ),
  archive("a device", [manifest(), { name: "sda", type: "block", devmajor: 8, devminor: 0 }], /'sda' is a device/),
  archive(
    "a layer that is a document",
    [manifest({ Layers: ["config.json"] }), file("config.json", configFor(LAYER))],
    /not a layer but JSON/,
  ),
  archive(
    "a blob under another digest",
    [
      manifest({ Layers: [`blobs/sha256/${"b".repeat(64)}`] }),
      file("config.json", configFor(LAYER)),
      file(`blobs/sha256/${"b".repeat(64)}`, LAYER),
    ],
    /has the digest/,
  ),
  archive(
    "an index that leads nowhere",
    [
      file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
      file(
        "index.json",
        json({
          schemaVersion: 2,
          manifests: [
            { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: `sha256:${"c".repeat(64)}`, size: 7 },
          ],
        }),
      ),
    ],
    /which is not in it/,
  ),
  {
    name: "cut off",
    tar: () => tarOf([manifest(), file("layer.tar", LAYER)]).subarray(0, 1800),
    complaint: /unexpected end/,
  },
  { name: "garbage", tar: () => new Uint8Array(10_000).fill(0x5a), complaint: /checksum|tar/i },
  {
    name: "damaged gzip",
    tar: () => Bun.gzipSync(LAYER as Uint8Array<ArrayBuffer>).fill(0x55, 40, 60),
    complaint: /gzip data is damaged|unexpected end/,
  },
  {
    name: "xz",
    tar: () => Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0, 0, 0]),
    complaint: /compressed with xz/,
  },
];
