import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { DebianDocker } from "./debian-docker.ts";
import { BASE, Engine, run } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
  const dockerfile = `FROM ${BASE}\nRUN mkdir /d && echo x > /d/x && ln /d/x /d/y && ln -s x /d/z && chmod 4755 /d/x\nRUN rm /d/y\nCOPY f /d/f\nCMD ["cat", "/d/x", "/d/f"]\n`;
  await engine.ok("build", "-q", "-t", "ours:1", engine.context({ Dockerfile: dockerfile, f: "f\n" }));
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const layersOf = (target: Pick<DebianDocker, "ok">, image: string) =>
  target.ok("image", "inspect", "--format", "{{json .RootFS.Layers}}", image);

async function skopeo(...argv: string[]): Promise<string> {
  const output = await run(["skopeo", "--insecure-policy", ...argv]);
  if (output.code !== 0) throw new Error(`skopeo ${argv.join(" ")}: ${output.stderr}`);
  return output.stdout;
}

describe("Debian's Docker", () => {
  test("loads and runs what we saved, and we load and run what it saved, with the same layers", async () => {
    await using docker = await new DebianDocker().ready();
    const saved = join(engine.root, "ours.tar");
    await engine.ok("save", "-o", saved, "ours:1");
    await docker.ok("load", "-i", saved);
    expect(await docker.ok("run", "--rm", "--network", "none", "ours:1")).toBe("x\nf");
    expect(await layersOf(docker, "ours:1")).toBe(await layersOf(engine, "ours:1"));

    const theirs = join(engine.root, "theirs.tar");
    await docker.ok("tag", "ours:1", "theirs:1");
    await docker.ok("save", "-o", theirs, "theirs:1");
    await using other = await Engine.start();
    await other.ok("load", "-i", theirs);
    expect(await other.ok("run", "--rm", "--network", "none", "theirs:1")).toBe("x\nf");
    expect(await layersOf(other, "theirs:1")).toBe(await layersOf(engine, "ours:1"));
  }, 120_000);
});

describe("skopeo", () => {
  test.each(["docker-archive", "oci-archive"])(
    "reads and writes a %s of ours",
    async (transport) => {
      const saved = join(engine.root, "for-skopeo.tar");
      await engine.ok("save", "-o", saved, "ours:1");
      const layout = join(engine.root, `layout-${transport}`);
      await skopeo(
        "copy",
        `${transport}:${saved}${transport === "oci-archive" ? ":ours:1" : ""}`,
        `oci:${layout}:ours`,
      );
      const back = join(engine.root, `back-${transport}.tar`);
      await skopeo(
        "copy",
        `oci:${layout}:ours`,
        transport === "docker-archive" ? `docker-archive:${back}:back:1` : `oci-archive:${back}:back:1`,
      );
      await using other = await Engine.start();
      await other.ok("load", "-i", back);
      expect(await other.ok("run", "--rm", "--network", "none", "back:1")).toBe("x\nf");
      expect(await layersOf(other, "back:1")).toBe(await layersOf(engine, "ours:1"));
    },
    60_000,
  );

  test("reads our content folder as an OCI layout", async () => {
    const inspected = JSON.parse(await skopeo("inspect", `oci:${engine.dataRoot}/content:slipway/base:latest`)) as {
      Layers: string[];
    };
    expect(inspected.Layers).toHaveLength(1);
  });
});

describe("umoci", () => {
  test("unpacks an image from our content folder", async () => {
    const bundle = join(engine.root, "bundle");
    const output = await run(["umoci", "unpack", "--image", `${engine.dataRoot}/content:slipway/base:latest`, bundle]);
    expect(output.stderr + output.stdout).not.toContain("FATA");
    expect((await run(["ls", join(bundle, "rootfs/bin/busybox")])).code).toBe(0);
  });
});
