import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BASE, Engine } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

describe("stats", () => {
  test("measures what runs, and shows nothing used by what does not", async () => {
    await engine.ok("run", "-d", "--name", "measured", "-m", "64m", BASE, "sleep", "1000");
    await engine.ok("create", "--name", "still", BASE, "true");
    const table = await engine.ok("stats", "--no-stream");
    expect(table.split("\n")[0]).toBe(
      "CONTAINER ID   NAME       CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS".replace(
        "NET I/O   ",
        /NET I\/O +/.exec(table)?.[0] ?? "",
      ),
    );
    expect(table).toMatch(/measured +\d+\.\d\d% +\S+iB \/ 64MiB +\d+\.\d\d% .* 1\n?$/);
    const rows = (await engine.ok("stats", "--no-stream", "-a", "--format", "json")).split("\n");
    const still = rows.map((row) => JSON.parse(row) as Record<string, string>).find(({ Name }) => Name === "still");
    expect(still).toMatchObject({ CPUPerc: "0.00%", MemUsage: "0B / 0B", NetIO: "0B / 0B", PIDs: "0" });
  }, 20_000);

  test("a name that is none is told, with 1", async () => {
    expect(await engine.slipway(["stats", "--no-stream", "nope"])).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error response from daemon: No such container: nope\n",
    });
  });

  test("ends when the containers that were asked for are gone", async () => {
    await engine.ok("run", "-d", "--rm", "--name", "short", BASE, "sleep", "2");
    const output = await engine.slipway(["stats", "--format", "{{.Name}}", "short"]);
    expect(output).toMatchObject({ code: 0, stderr: "" });
    expect(output.stdout).toContain("short\n");
  }, 20_000);

  test("a stream cannot be one shot", async () => {
    const response = await fetch("http://engine/containers/measured/stats?stream=1&one-shot=1", {
      unix: engine.socket,
    });
    expect(response.status).toBe(400);
  });
});

describe("update", () => {
  const limit = (name: string, field: string) => engine.ok("inspect", "-f", `{{.HostConfig.${field}}}`, name);

  test("changes limits of what runs, at once and for the next start", async () => {
    await engine.ok("run", "-d", "--name", "changed", "-m", "64m", BASE, "sleep", "1000");
    expect(await engine.ok("update", "-m", "32m", "--pids-limit", "7", "--cpus", "0.5", "changed")).toBe("changed");
    expect(await limit("changed", "Memory")).toBe(String(32 * 1024 * 1024));
    const row = JSON.parse(await engine.ok("stats", "--no-stream", "--format", "json", "changed")) as {
      MemUsage: string;
    };
    expect(row.MemUsage).toEndWith(" / 32MiB");
    await engine.ok("restart", "-t", "0", "changed");
    expect(await engine.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "changed")).toEndWith(" / 32MiB");
    const document = await fetch("http://engine/containers/changed/stats?stream=0&one-shot=1", { unix: engine.socket });
    expect(await document.json()).toMatchObject({ name: "/changed", pids_stats: { limit: 7 } });
  }, 20_000);

  test("changes the restart policy of what does not run", async () => {
    await engine.ok("update", "--restart", "on-failure:3", "still");
    expect(await limit("still", "RestartPolicy")).toBe("{on-failure 3}");
  });

  test.each([
    [["still"], "you must provide one or more flags when using this command"],
    [["-m", "1m", "still"], "Minimum memory limit allowed is 6MB"],
    [["-m", "1g", "changed"], "Memory limit should be smaller than already set memoryswap limit"],
    [["--cpu-quota", "5000", "changed"], "CPU Quota cannot be updated as NanoCPUs has already been set"],
    [["--restart", "sometimes", "still"], "unknown policy 'sometimes'"],
    [["-m", "64m", "nope"], "No such container: nope"],
  ])("update %p is refused", async (words, reason) => {
    const output = await engine.slipway(["update", ...words]);
    expect(output).toMatchObject({ code: 1, stdout: "" });
    expect(output.stderr).toContain(reason);
  });
});
