import { describe, expect, test } from "bun:test";
import type { Digest, ImageId } from "@slipway/oci";
import type { EngineEvent, Image } from "../backend.ts";
import { fakeBackends, someContainer } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

type Json = Record<string, unknown>;

const digest = `sha256:${"a".repeat(64)}` as Digest;
const image = {
  id: digest as ImageId,
  config: { os: "linux", architecture: "amd64", config: { Cmd: ["sh"] }, diffIds: [], history: [] },
  layers: [],
  target: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 10 },
  manifest: { mediaType: "application/vnd.oci.image.manifest.v1+json", config: { size: 5 }, layers: [{ size: 7 }] },
  manifestDigest: digest,
  names: [],
  repoDigests: [],
  size: 20,
  storedAt: 0,
} as unknown as Image;

const item = someContainer({ endpoints: [] });
const event: EngineEvent = { type: "container", action: "start", id: "c", attributes: { image: "x" }, time: 1n };
const backends = fakeBackends({
  containers: { inspect: async () => item },
  images: {
    inspect: async () => image,
    list: async ({ sharedSize }) => [{ image, containers: 2, ...(sharedSize === true && { sharedBytes: 3 }) }],
    users: () => ["c1", "c2"],
    history: async () => [],
  },
  system: {
    events: async function* () {
      yield event;
    },
    diskUsage: async () => ({
      layersBytes: 20,
      images: [{ image, containers: 1, sharedBytes: 5 }],
      containers: [{ ...item, sizes: { rw: 4, rootFs: 24 } }],
      volumes: [],
      cache: [],
    }),
  },
});

async function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; type: string }> {
  let answer = { status: 0, body: "", type: "" };
  await withServer(backends, async ({ request }) => {
    const response = await request(path, { headers });
    answer = { status: response.status, body: await response.text(), type: response.headers.get("content-type") ?? "" };
  });
  return answer;
}

async function document(path: string): Promise<Json> {
  const { status, body } = await get(path);
  expect(status).toBe(200);
  return JSON.parse(body) as Json;
}

describe("what older and newer versions of the API have", () => {
  test("the default network's facts stand beside the networks up to 1.51", async () => {
    const settings = async (version: string) =>
      Object.keys((await document(`/v${version}/containers/web/json`)).NetworkSettings as Json);
    expect(await settings("1.51")).toEqual(expect.arrayContaining(["Bridge", "IPAddress", "MacAddress", "Networks"]));
    expect((await settings("1.52")).sort()).toEqual(["Networks", "Ports", "SandboxID", "SandboxKey"]);
  });

  test("an image's empty fields are left out since 1.52, a container's since 1.50, and its size has one name since 1.44", async () => {
    expect(await document("/v1.43/images/x/json")).toMatchObject({
      VirtualSize: 20,
      Author: "",
      Config: { Hostname: "", User: "" },
    });
    const later = await document("/v1.52/images/x/json");
    expect(Object.keys(later)).not.toContain("Author");
    expect(later.Config).toEqual({ Cmd: ["sh"] });
    expect(Object.keys((await document("/v1.50/images/x/json")).Config as Json)).not.toContain("Hostname");
  });

  test("lists of images count containers since 1.51, shared bytes on request since 1.42, manifests since 1.47", async () => {
    const first = async (path: string) => (JSON.parse((await get(path)).body) as Json[])[0];
    expect(await first("/v1.50/images/json?shared-size=1")).toMatchObject({ Containers: -1, SharedSize: 3 });
    expect(await first("/v1.41/images/json?shared-size=1")).toMatchObject({
      SharedSize: -1,
      RepoTags: ["<none>:<none>"],
    });
    expect(await first("/v1.51/images/json?manifests=1")).toMatchObject({
      Containers: 2,
      Manifests: [{ ID: digest, Kind: "image", Available: true, ImageData: { Containers: ["c1", "c2"] } }],
    });
  });

  test("disk usage is lists up to 1.51, both in 1.52, totals alone since 1.53", async () => {
    const keys = async (path: string) => Object.keys(await document(path)).sort();
    const lists = ["BuildCache", "Containers", "Images", "LayersSize", "Volumes"];
    const totals = ["BuildCacheUsage", "ContainerUsage", "ImageUsage", "VolumeUsage"];
    expect(await keys("/v1.41/system/df")).toEqual([...lists, "BuilderSize"].sort());
    expect(await keys("/v1.51/system/df")).toEqual(lists);
    expect(await keys("/v1.52/system/df")).toEqual([...lists, ...totals].sort());
    expect(await keys("/v1.52/system/df?verbose=1")).toEqual(totals);
    expect(await keys("/v1.53/system/df?type=image")).toEqual(["ImageUsage"]);
    expect((await document("/v1.53/system/df")).ImageUsage).toEqual({
      ...{ TotalCount: 1, ActiveCount: 1, TotalSize: 20, Reclaimable: 5 },
    });
    expect((await document("/v1.53/system/df?verbose=1")).ContainerUsage).toMatchObject({
      ...{ TotalCount: 1, ActiveCount: 1, TotalSize: 4, Reclaimable: 0, Items: [{ Id: item.container.id, SizeRw: 4 }] },
    });
  });

  test("events lose what clients before 1.22 read in 1.52, and come as the media type that was chosen", async () => {
    expect(JSON.parse((await get("/v1.51/events")).body)).toMatchObject({ status: "start", id: "c", from: "x" });
    expect(Object.keys(JSON.parse((await get("/v1.52/events")).body) as Json)).not.toContain("status");
    expect(await get("/v1.53/events", { Accept: "application/jsonl" })).toMatchObject({ type: "application/jsonl" });
    const sequence = await get("/v1.52/events", { Accept: "application/json-seq" });
    expect([sequence.type, sequence.body.charAt(0)]).toEqual(["application/json-seq", "\x1e"]);
    expect((await get("/v1.51/events", { Accept: "application/jsonl" })).type).toBe("application/json");
  });

  test("facts of the engine come and go with the versions", async () => {
    const keys = async (version: string) => Object.keys(await document(`/v${version}/info`));
    expect(await keys("1.41")).toEqual(expect.arrayContaining(["KernelMemory", "KernelMemoryTCP", "BridgeNfIptables"]));
    expect(await keys("1.52")).toEqual(expect.arrayContaining(["FirewallBackend", "DiscoveredDevices", "CDISpecDirs"]));
    expect(await keys("1.52")).not.toContain("KernelMemoryTCP");
  });

  test("info tells how registries are reached", async () => {
    const { RegistryConfig } = await document("/info");
    const { Mirrors, InsecureRegistryCIDRs, IndexConfigs } = RegistryConfig as Json;
    expect(Mirrors).toEqual(["http://127.0.0.1:5000/"]);
    expect(InsecureRegistryCIDRs).toEqual(["10.0.0.0/8", "::1/128", "127.0.0.0/8"]);
    expect(Object.keys(IndexConfigs as Json)).toEqual(["127.0.0.1:5000", "docker.io"]);
  });
});

describe("platforms", () => {
  const arm = encodeURIComponent('{"os":"linux","architecture":"arm64"}');
  const amd = encodeURIComponent('{"os":"linux","architecture":"amd64"}');
  test.each([
    [`/v1.49/images/x/json?platform=${amd}`, 200, ""],
    [`/v1.49/images/x/json?platform=${arm}`, 404, "does not provide the specified platform (linux/arm64)"],
    [`/v1.48/images/x/json?platform=${arm}`, 200, ""],
    [`/v1.49/images/x/json?platform=${amd}&manifests=1`, 400, "cannot both be set"],
    [`/v1.49/images/x/json?platform=amd64`, 400, "platform is not JSON"],
    [`/v1.48/images/x/history?platform=${arm}`, 404, "specified platform"],
    [`/v1.55/images/x/attestations?platform=${amd}`, 200, "[]"],
    [`/v1.55/images/x/attestations?platform=${amd}&platform=${arm}`, 400, "only one platform"],
  ])("%s answers %d %s", async (path, status, words) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(words);
  });
});

test.each([
  ["OPTIONS", "/anything", 200, ""],
  ["PUT", "/volumes/x", 503, "This node is not a swarm manager."],
  ["POST", "/swarm/leave", 503, "This node is not part of a swarm"],
  ["POST", "/swarm/update", 503, "This node is not a swarm manager."],
  ["GET", "/tasks/x/logs", 503, "This node is not a swarm manager."],
  ["GET", "/plugins/privileges?remote=x", 200, "[]"],
  ["GET", "/plugins/privileges", 400, "invalid reference format"],
  ["POST", "/plugins/pull?remote=x", 501, "plug-ins are not supported"],
  ["GET", "/plugins?filters=%7B%22foo%22%3A%5B%22x%22%5D%7D", 400, "invalid filter 'foo'"],
  ["DELETE", "/containers/x/checkpoints/y", 501, "checkpointing"],
  ["GET", "/events?since=10&until=1", 400, "`since` time (10) cannot be after `until` time (1)"],
  ["GET", "/v1.41/system/df?type=nonsense", 200, ""],
  ["GET", "/v1.42/system/df?type=nonsense", 400, "unknown object type: nonsense"],
])("%s %s answers %d", async (method, path, status, words) => {
  await withServer(backends, async ({ request }) => {
    const response = await request(path, { method });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(words);
  });
});

test("Compose 1 finds the container's config of an image at every version: it cannot recreate services without", async () => {
  const keysFor = async (agent: string) => {
    const { body } = await get("/v1.55/images/x/json", { "User-Agent": agent });
    return Object.keys(JSON.parse(body) as Json);
  };
  expect(await keysFor("docker-compose/1.29.2 Linux/6.1")).toContain("ContainerConfig");
  expect(await keysFor("compose/v2.40.3")).not.toContain("ContainerConfig");
});
