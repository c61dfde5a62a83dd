import { describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import type { CreateContainer } from "../backend.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

async function message(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}

describe("creating a container", () => {
  async function created(body: unknown, path = "/containers/create?name=web"): Promise<CreateContainer> {
    let seen: CreateContainer | undefined;
    const create = async (request: CreateContainer) => {
      seen = request;
      return { id: "1", warnings: [] };
    };
    await withServer(fakeBackends({ containers: { create } }), async ({ request }) => {
      const headers = { "Content-Type": "application/json" };
      const response = await request(path, { method: "POST", body: JSON.stringify(body), headers });
      if (response.status !== 201) throw new Error(await message(response));
      expect(await response.json()).toEqual({ Id: "1", Warnings: [] });
    });
    if (seen === undefined) throw new Error("create was not called");
    return seen;
  }

  test("what the docker CLI sends arrives typed, its empty values as absent", async () => {
    const request = await created({
      Hostname: "",
      Image: "busybox",
      Cmd: ["sh"],
      Env: null,
      ExposedPorts: { "80/tcp": {} },
      Labels: { a: "b" },
      HostConfig: {
        Binds: ["/a:/b:ro"],
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
        NetworkMode: "bridge",
        Memory: 0,
        NanoCpus: 1_500_000_000,
        ShmSize: 0,
        ConsoleSize: [0, 0],
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        LogConfig: { Type: "", Config: {} },
        BlkioWeightDevice: [],
        DeviceRequests: null,
        Links: null,
      },
      NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ["w"], IPAMConfig: { IPv4Address: "10.0.0.2" } } } },
    });
    expect(request).toEqual({
      name: "web",
      config: {
        Hostname: "",
        Image: "busybox",
        Cmd: ["sh"],
        ExposedPorts: { "80/tcp": {} },
        Labels: { a: "b" },
      },
      hostConfig: {
        Binds: ["/a:/b:ro"],
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
        NetworkMode: "bridge",
        NanoCpus: 1_500_000_000,
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      },
      networks: { bridge: { aliases: ["w"], ipv4: "10.0.0.2" } },
    });
  });

  test.each([
    ["No such image: x:latest", 404],
    ["network x not found", 400],
  ])("only a missing image is a 404, for which clients pull: %s", async (text, status) => {
    const create = async () => {
      throw new SlipwayError("not-found", text);
    };
    await withServer(fakeBackends({ containers: { create } }), async ({ request }) => {
      const headers = { "Content-Type": "application/json" };
      const response = await request("/containers/create", { method: "POST", body: '{"Image":"x"}', headers });
      expect(response.status).toBe(status);
      expect(await message(response)).toBe(text);
    });
  });

  test("a command that is one string is a list of one", async () => {
    expect((await created({ Image: "x", Cmd: "true" })).config.Cmd).toEqual(["true"]);
  });

  test.each([
    [{ Image: "x", Env: "A=1" }, "request body: Env: expected a list, got string"],
    [{ Image: "x", HostConfig: { Memory: 1.5 } }, "Memory: expected an integer"],
    [{ Image: "x", HostConfig: { Mounts: [{ Type: "npipe", Target: "/x" }] } }, "mount type 'npipe' is not supported"],
    [[1], "expected an object, got a list"],
  ])("%j is refused: %s", async (body, text) => {
    await expect(created(body)).rejects.toThrow(text);
  });

  test("a body that is not JSON, or of another type, or too large, or missing is refused", async () => {
    await withServer(fakeBackends(), async ({ request }) => {
      const post = async (body: string | undefined, type: string) => {
        const response = await request("/containers/create", {
          method: "POST",
          headers: { "Content-Type": type },
          ...(body !== undefined && { body }),
        });
        expect(response.status).toBe(400);
        return await message(response);
      };
      expect(await post("{", "application/json")).toContain("is not JSON");
      expect(await post("{}", "text/plain")).toBe(
        "unsupported Content-Type header (text/plain): must be 'application/json'",
      );
      expect(await post(`"${"x".repeat(5_000_000)}"`, "application/json")).toContain("larger than");
      expect(await post(undefined, "application/json")).toContain("config cannot be empty");
      expect(await post("[".repeat(200_000), "application/json")).toContain("is not JSON");
    });
  });
});
