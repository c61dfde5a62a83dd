import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BASE, Engine, type Output, run } from "./harness.ts";

// Docker's own client beside ours on one socket: whichever `docker` is first on PATH (28 was used to write this).
let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
  for (const argv of [
    ["network", "create", "--subnet", "10.235.1.0/24", "--ip-range", "10.235.1.0/25", "--label", "a=b", "own"],
    ["network", "create", "--ipv6", "--internal", "six"],
    ["run", "-d", "--name", "old", BASE, "sleep", "1000"],
    ["run", "-d", "--name", "linked", "--link", "old:o", BASE, "sleep", "1000"],
    [
      ...["run", "-d", "--name", "web", "--network", "name=own,alias=x,ip=10.235.1.9,gw-priority=2"],
      ...["--network", "six", "--link", "old:o", "-p", "80", BASE, "sleep", "1000"],
    ],
  ]) {
    await ok(...argv);
  }
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const docker = (...argv: string[]): Promise<Output> =>
  run(["docker", ...argv], { env: { DOCKER_HOST: `unix://${engine.socket}` } });

async function ok(...argv: string[]): Promise<string> {
  const output = await docker(...argv);
  if (output.code !== 0)
    throw new Error(`docker ${argv.join(" ")} ended with ${output.code}:\n${output.stdout}${output.stderr}`);
  return output.stdout.replace(/\n$/, "");
}

describe("both clients print the same", () => {
  test.each([
    [["network", "ls"]],
    [["network", "ls", "-q", "--no-trunc"]],
    [["network", "ls", "--format", "json"]],
    [["network", "ls", "--format", "{{.ID}} {{.Name}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.CreatedAt}}"]],
    [["network", "ls", "--format", "table {{.Name}}\t{{.Internal}}\t{{.IPv6}}", "-f", "driver=bridge"]],
    [["network", "ls", "-f", "type=custom", "-f", "name=o"]],
    [["network", "inspect", "own", "six", "bridge", "host", "none"]],
    [["network", "inspect", "-v", "own"]],
    [["network", "inspect", "-f", "{{json .}}", "own"]],
    [["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}}{{end}}", "own"]],
    [["inspect", "-f", "{{json .NetworkSettings}}", "web"]],
    [["inspect", "-f", "{{json .NetworkSettings}} {{json .HostConfig.Links}}", "linked"]],
    [["inspect", "web", "linked"]],
    [["port", "web"]],
    [["port", "web", "80/tcp"]],
    [["ps", "-q", "-f", "network=own"]],
  ])("%j", async (argv) => {
    const [theirs, ours] = [await docker(...argv), await engine.slipway(argv)];
    expect(theirs.code).toBe(0);
    expect(ours).toEqual(theirs);
  });

  test.each([
    [["network", "create", "own"]],
    [["network", "create"]],
    [["network", "create", "--gateway", "1.2.3.4", "y"]],
    [["network", "create", "--subnet", "10.9.0.0/24", "--ip-range", "10.8.0.0/25", "y"]],
    [["network", "create", "-d", "overlay", "y"]],
    [["network", "create", "host"]],
    [["network", "connect", "own", "web"]],
    [["network", "connect", "own", "nope"]],
    [["network", "connect", "--ip", "x", "own", "old"]],
    [["network", "connect", "--driver-opt", "x", "own", "old"]],
    [["network", "connect", "--link", "a:b:c", "own", "old"]],
    [["network", "disconnect", "own", "old"]],
    [["network", "rm", "bridge", "own"]],
    [["run", "--rm", "--network", "own", "--network", "own", BASE, "true"]],
    [["run", "--rm", "--network", "own", "--network", "host", BASE, "true"]],
    [["run", "--rm", "--network", "name=own,foo=x", BASE, "true"]],
    [["run", "--rm", "--network", "name=own,gw-priority=x", BASE, "true"]],
    [["run", "--rm", "--network", "name=own,ip=10.235.1.44", "--ip", "10.235.1.45", BASE, "true"]],
    [["run", "--rm", "--ip", "1.2.3.4", BASE, "true"]],
    [["run", "--rm", "--network-alias", "x", BASE, "true"]],
    [["run", "--rm", "--link", "a:b:c", BASE, "true"]],
    [["run", "--rm", "--link", "nope", BASE, "true"]],
    [["run", "--rm", "--dns", "x", BASE, "true"]],
    [["run", "--rm", "--add-host", "x:y", BASE, "true"]],
    [["run", "--rm", "--mac-address", "x", BASE, "true"]],
  ])("and refuse the same, in words that hold Docker's: %j", async (argv) => {
    const [theirs, ours] = [await docker(...argv), await engine.slipway(argv)];
    expect(ours.code).toBe(theirs.code);
    expect(ours.stdout).toBe(theirs.stdout);
    const [line = ""] = theirs.stderr.split("\n");
    const named = (text: string): string => text.replaceAll("docker", "slipway");
    expect(named(ours.stderr)).toContain(named(line.replace(/^docker: /, "")));
  });
});

describe("Docker's client", () => {
  test("makes, joins, leaves and removes networks", async () => {
    const id = await ok("network", "create", "--attachable", "-o", "com.docker.network.driver.mtu=1280", "work");
    expect(await ok("network", "inspect", "-f", "{{.Id}} {{.Attachable}} {{.Options}}", "work")).toBe(
      `${id} true map[com.docker.network.driver.mtu:1280]`,
    );
    await ok(
      "network",
      "connect",
      "--alias",
      "late",
      "--driver-opt",
      "com.docker.network.endpoint.ifname=wan",
      "work",
      "old",
    );
    expect(await ok("exec", "old", "cat", "/sys/class/net/wan/mtu")).toBe("1280");
    expect(await ok("run", "--rm", "--network", "work", BASE, "ping", "-c1", "-W2", "late")).toContain(
      " 1 packets received",
    );
    const settings = "{{with .NetworkSettings.Networks.work}}{{.Aliases}} {{.DriverOpts}} {{.DNSNames}}{{end}}";
    const short = (await ok("inspect", "-f", "{{.Id}}", "old")).slice(0, 12);
    expect(await ok("inspect", "-f", settings, "old")).toBe(
      `[late] map[com.docker.network.endpoint.ifname:wan] [old late ${short}]`,
    );
    expect((await docker("network", "rm", "work")).stderr).toContain("has active endpoints");
    await ok("network", "disconnect", "work", "old");
    expect(await ok("network", "rm", "work")).toBe("work");
  });

  test("sees networks come and go among the events, and prunes them", async () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    await ok("network", "create", "gone");
    expect(await ok("network", "prune", "-f")).toBe("Deleted Networks:\ngone\n");
    const lines = await ok(
      ...[
        "events",
        "--since",
        since,
        "--until",
        String(Math.floor(Date.now() / 1000) + 1),
        "-f",
        "type=network",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
      ],
    );
    const seen = lines.split("\n");
    for (const line of ["create gone", "destroy gone"]) expect(seen).toContain(line);
  });
});
