import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { BASE, Engine, mountsBelow, run } from "./harness.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
}, 60_000);
afterEach(async () => {
  const ids = (await engine.ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await engine.ok("rm", "-f", ...ids);
  await engine.ok("network", "prune", "-f");
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const SLEEP = ["sleep", "1000"] as const;

async function up(name: string, ...flags: string[]): Promise<void> {
  await engine.ok("run", "-d", "--name", name, ...flags, BASE, ...SLEEP);
}

/** Standard output of a command inside, also when it fails. */
async function inside(name: string, script: string): Promise<string> {
  return (await engine.slipway(["exec", name, "sh", "-c", script])).stdout;
}

async function reaches(name: string, target: string): Promise<boolean> {
  return (await inside(name, `ping -c 1 -W 2 ${target}`)).includes(" 1 packets received");
}

/** A web server inside that answers with its container's name; it listens when this returns. */
async function serve(name: string, port: number): Promise<void> {
  const script = `mkdir -p /www; echo ${name} > /www/index.html; httpd -p ${port} -h /www`;
  await engine.ok("exec", name, "sh", "-c", script);
}

/** What it says to somebody on the host; empty if nobody is there. */
async function say(host: string, port: string): Promise<string> {
  try {
    const address = host.includes(":") ? `[${host}]` : host;
    const response = await fetch(`http://${address}:${port}/`, { signal: AbortSignal.timeout(3000), keepalive: false });
    return (await response.text()).trim();
  } catch {
    return "";
  }
}

const format = (template: string, name: string): Promise<string> => engine.ok("inspect", "--format", template, name);

describe("networks", () => {
  test("have the blocks, addresses, options and labels that were asked for", async () => {
    const flags = ["--subnet", "10.234.1.0/24", "--ip-range", "10.234.1.64/26", "--gateway", "10.234.1.9"];
    const more = ["--aux-address", "printer=10.234.1.64", "-o", "com.docker.network.driver.mtu=1300", "--label", "a=b"];
    const name = `swb${process.pid}`;
    await engine.ok("network", "create", ...flags, ...more, "-o", `com.docker.network.bridge.name=${name}`, "own");
    const ipam =
      "{{range .IPAM.Config}}{{.Subnet}} {{.IPRange}} {{.Gateway}} {{.AuxiliaryAddresses.printer}}{{end}} {{.Labels.a}}";
    expect(await engine.ok("network", "inspect", "-f", ipam, "own")).toBe(
      "10.234.1.0/24 10.234.1.64/26 10.234.1.9 10.234.1.64 b",
    );
    await up("web", "--network", "own");
    expect(await format("{{.NetworkSettings.Networks.own.IPAddress}}", "web")).toBe("10.234.1.65");
    expect(await inside("web", "cat /sys/class/net/eth0/mtu; ip route")).toMatch(/^1300\ndefault via 10.234.1.9/);
    expect((await run(["ip", "-o", "link", "show", "dev", name])).stdout).toContain("mtu 1300");
    expect((await engine.slipway(["network", "create", "own"])).stderr).toContain(
      "network with name own already exists",
    );
    await engine.ok("rm", "-f", "web");
    expect(await engine.ok("network", "rm", "own")).toBe("own");
    expect((await run(["ip", "link", "show", "dev", name])).code).not.toBe(0);
  });

  test("keep their containers apart; one on both reaches both; names are those of one's own networks", async () => {
    for (const name of ["left", "right"]) await engine.ok("network", "create", name);
    await up("one", "--network", "left");
    await up("two", "--network", "right");
    await up("both", "--network", "left", "--network", "name=right,alias=middle");
    const address = await format("{{.NetworkSettings.Networks.right.IPAddress}}", "two");
    expect(await reaches("both", "one")).toBe(true);
    expect(await reaches("both", "two")).toBe(true);
    expect(await reaches("two", "middle")).toBe(true);
    expect(await reaches("one", "middle")).toBe(false);
    expect(await reaches("one", "two")).toBe(false);
    expect(await reaches("one", address)).toBe(false);
  });

  test("speak IPv6, with fixed addresses and names", async () => {
    await engine.ok("network", "create", "--ipv6", "--subnet", "fd00:234::/64", "--subnet", "10.234.2.0/24", "six");
    await up("web", "--network", "six", "--ip6", "fd00:234::77", "--ip", "10.234.2.77");
    await up("asker", "--network", "six");
    const shown =
      "{{with .NetworkSettings.Networks.six}}{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}} {{.IPAMConfig.IPv6Address}}{{end}}";
    expect(await format(shown, "web")).toBe("fd00:234::77/64 fd00:234::1 fd00:234::77");
    expect(await inside("asker", "ping -6 -c 1 -W 2 web")).toContain("fd00:234::77");
    expect(await inside("asker", "ping -6 -c 1 -W 2 web")).toContain(" 1 packets received");
    expect(await inside("web", "cat /etc/hosts")).toContain("fd00:234::77\t");
  });

  test("that are internal have no way out and publish nothing", async () => {
    await engine.ok("network", "create", "--internal", "vault");
    await up("one", "--network", "vault", "-p", "80");
    await up("two", "--network", "vault");
    expect(await reaches("two", "one")).toBe(true);
    expect(await inside("one", "ip route")).not.toContain("default");
    expect(await engine.ok("port", "one")).toBe("");
  });

  test("that are not there are answered with the nearest ones", async () => {
    await engine.ok("network", "create", "backend");
    for (const argv of [
      ["network", "rm", "backnd"],
      ["run", "--rm", "--network", "backnd", BASE, "true"],
    ]) {
      const { code, stderr } = await engine.slipway(argv);
      expect(code).not.toBe(0);
      expect(stderr).toContain("network backnd not found");
      expect(stderr).toContain("Did you mean 'backend'?");
    }
  });

  test("lists take filters and formats", async () => {
    await engine.ok("network", "create", "--label", "tier=db", "one");
    await engine.ok("network", "create", "--internal", "two");
    const list = (...flags: string[]) => engine.ok("network", "ls", "--format", "{{.Name}}:{{.Internal}}", ...flags);
    expect(await list("--filter", "type=custom")).toBe("one:false\ntwo:true");
    expect(await list("--filter", "label=tier=db")).toBe("one:false");
    expect(await list("--filter", "name=tw")).toBe("two:true");
    expect(await list("--filter", "driver=host")).toBe("host:false");
    expect(await list("--filter", "dangling=false")).toBe("bridge:false\nhost:false\nnone:false");
  });
});

describe("resolvers and hosts", () => {
  test("take --dns, --dns-search, --dns-option and --add-host, on both kinds of network", async () => {
    const flags = ["--dns", "192.0.2.53", "--dns-search", "example.org", "--dns-option", "timeout:1"];
    const hosts = ["--add-host", "there:192.0.2.7", "--add-host", "me:host-gateway"];
    await engine.ok("network", "create", "own");
    await up("plain", ...flags, ...hosts);
    await up("named", "--network", "own", ...flags, ...hosts);
    expect(await inside("plain", "cat /etc/resolv.conf")).toBe(
      "nameserver 192.0.2.53\nsearch example.org\noptions timeout:1\n",
    );
    expect(await inside("named", "cat /etc/resolv.conf")).toBe(
      "nameserver 127.0.0.11\nsearch example.org\noptions timeout:1 ndots:0\n",
    );
    for (const [name, network] of [
      ["plain", "bridge"],
      ["named", "own"],
    ] as const) {
      const gateway = await format(`{{.NetworkSettings.Networks.${network}.Gateway}}`, name);
      expect(await inside(name, "cat /etc/hosts")).toContain(`192.0.2.7\tthere\n${gateway}\tme\n`);
    }
  });
});

describe("published ports", () => {
  test("answer on both families and all addresses, or on the one that was named", async () => {
    await up("web", "-p", "80", "-p", "127.0.0.1::81");
    await serve("web", 80);
    await serve("web", 81);
    const lines = (await engine.ok("port", "web")).split("\n");
    expect(lines).toHaveLength(3);
    const [everywhere = "", sixth = "", local = ""] = lines.map((line) => line.replace(/^.*:/, ""));
    expect(lines[0]).toBe(`80/tcp -> 0.0.0.0:${everywhere}`);
    expect(lines[1]).toBe(`80/tcp -> [::]:${everywhere}`);
    expect(sixth).toBe(everywhere);
    expect(await say("127.0.0.1", everywhere)).toBe("web");
    expect(await say("::1", everywhere)).toBe("web");
    expect(await say("127.0.0.1", local)).toBe("web");
    expect(await say("::1", local)).toBe("");
  });

  test("of a range are one each, or the first that is free; what is taken says by whom", async () => {
    using other = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => {} } });
    const { port } = other;
    const range = `${port}-${port + 3}`;
    await up("web", "-p", `127.0.0.1:${range}:90`, "-p", "127.0.0.1::70-71/udp");
    const ports = await engine.ok("port", "web");
    const got = Number(/90\/tcp -> 127.0.0.1:(\d+)/.exec(ports)?.[1]);
    expect(got).toBeGreaterThan(port);
    expect(got).toBeLessThanOrEqual(port + 3);
    expect(ports).toMatch(/70\/udp -> 127.0.0.1:\d+\n71\/udp -> 127.0.0.1:\d+/);
    const process = await engine.slipway(["run", "-d", "-p", `${port}:1`, BASE, "true"]);
    expect(process.stderr).toMatch(
      new RegExp(`Bind for 0.0.0.0:${port} failed: port is already allocated by .+ \\(process \\d+\\)`),
    );
    const container = await engine.slipway(["run", "-d", "-p", `127.0.0.1:${got}:1`, BASE, "true"]);
    expect(container.stderr).toMatch(/port is already allocated by container web \([0-9a-f]{12}\)/);
  });

  test("that the engine chose stay over restarts of container and daemon", async () => {
    await up("web", "--restart", "always", "-p", "80");
    const before = await engine.ok("port", "web");
    await engine.ok("restart", "-t", "0", "web");
    expect(await engine.ok("port", "web")).toBe(before);
    await engine.stopDaemon("SIGKILL");
    await engine.startDaemon();
    expect(await engine.ok("port", "web")).toBe(before);
    await serve("web", 80);
    expect(
      await say(
        "127.0.0.1",
        before
          .replace(/^[^\n]*:/, "")
          .replace(/\n.*$/s, "")
          .trim(),
      ),
    ).toBe("web");
  });
});

describe("the firewall", () => {
  const table = async (): Promise<string> => {
    const bridge = await engine.ok(
      "network",
      "inspect",
      "-f",
      '{{index .Options "com.docker.network.bridge.name"}}',
      "bridge",
    );
    return `slipway_${bridge}`;
  };

  test("is restored after our table was deleted; nothing of others is touched", async () => {
    const foreign = `foreign_${process.pid}`;
    await run(["nft", "add", "table", "inet", foreign]);
    await run(["nft", "add", "chain", "inet", foreign, "c"]);
    await run(["nft", "add", "rule", "inet", foreign, "c", "tcp", "dport", "7", "counter"]);
    const rules = async () => (await run(["nft", "list", "table", "inet", foreign])).stdout;
    const before = await rules();
    try {
      await engine.ok("network", "create", "own");
      await up("web", "--network", "own", "-p", "127.0.0.1::80");
      await serve("web", 80);
      const port = (await engine.ok("port", "web")).replace(/^.*:/, "");
      await run(["nft", "delete", "table", "inet", await table()]);
      const deadline = Date.now() + 15_000;
      while ((await run(["nft", "list", "table", "inet", await table()])).code !== 0 && Date.now() < deadline) {
        await Bun.sleep(100);
      }
      expect(await say("127.0.0.1", port)).toBe("web");
      await engine.ok("rm", "-f", "web");
      await engine.ok("network", "rm", "own");
      expect(await rules()).toBe(before);
    } finally {
      await run(["nft", "delete", "table", "inet", foreign]);
    }
  }, 60_000);
});

test("kill -9 at random moments of connecting and disconnecting leaves what the next start makes whole", async () => {
  const names = ["n1", "n2", "n3"];
  for (const name of names) await engine.ok("network", "create", name);
  await up("web", "--network", "n1");
  await up("peer", "--network", "n1", "--network", "n2", "--network", "n3");
  let seed = 20261;
  const roll = (limit: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) % limit;
  };
  for (let round = 0; round < 8; round++) {
    const work = names
      .slice(1)
      .map((name, index) =>
        (round + index) % 2 === 0
          ? engine.slipway(["network", "connect", name, "web"])
          : engine.slipway(["network", "disconnect", name, "web"]),
      );
    const extra = [
      engine.slipway(["network", "create", `x${round}`]),
      engine.slipway(["network", "rm", `x${round - 1}`]),
    ];
    await Bun.sleep(roll(40)); // The random moment itself.
    await engine.stopDaemon("SIGKILL");
    await Promise.all([...work, ...extra]);
    await engine.startDaemon();
    const networks = (
      await format("{{range $name, $e := .NetworkSettings.Networks}}{{$name}} {{$e.IPAddress}}\n{{end}}", "web")
    )
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(" "));
    const addresses =
      (await inside("web", "ip -4 -o addr show")).match(/inet [\d.]+/g)?.map((each) => each.slice(5)) ?? [];
    expect(addresses.filter((each) => !each.startsWith("127.")).sort()).toEqual(
      networks.map(([, address = ""]) => address).sort(),
    );
    for (const [network = ""] of networks) expect(await reaches("web", `peer.${network}`)).toBe(true);
    expect(await reaches("peer", "web.n1")).toBe(true);
  }
}, 120_000);

/** Processes of the engine besides its daemon, and of its containers. */
async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);
  for (let attempt = 0; pids.some(alive) && attempt < 500; attempt++) await Bun.sleep(10);
}

function supervisors(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words.includes("supervisor") && words.some((word) => word.startsWith(engine.root));
      } catch {
        return false;
      }
    })
    .map(Number);
}

test("after a reboot networks are there again, and containers that are kept up are on them, with their ports", async () => {
  await engine.ok("network", "create", "--subnet", "10.234.9.0/24", "own");
  await engine.ok("network", "create", "other");
  const kept = ["--restart", "always"];
  await up("peer", ...kept, "--network", "own", "--ip", "10.234.9.9");
  await up("web", ...kept, "--network", "own", "--network", "name=other,alias=x", "-p", "80");
  const port = await engine.ok("port", "web");
  const pids = (await engine.ok("inspect", "-f", "{{.State.Pid}}", "web", "peer")).split("\n").map(Number);
  const bridges = (await engine.ok("network", "inspect", "-f", "{{.Id}}", "own", "other"))
    .split("\n")
    .map((id) => `br-${id.slice(0, 12)}`);
  const name = '{{index .Options "com.docker.network.bridge.name"}}';
  const table = `slipway_${await engine.ok("network", "inspect", "-f", name, "bridge")}`;
  await engine.stopDaemon("SIGKILL");
  await killAll([...supervisors(), ...pids]);
  for (const mount of mountsBelow(engine.root).toReversed()) await run(["umount", "-l", mount]);
  rmSync(engine.execRoot, { recursive: true, force: true });
  for (const bridge of bridges) await run(["ip", "link", "delete", bridge]);
  await run(["nft", "delete", "table", "inet", table]);

  await engine.startDaemon();
  for (const bridge of bridges) expect((await run(["ip", "link", "show", "dev", bridge])).code).toBe(0);
  const running = async () => (await engine.ok("ps", "-q")).split("\n").filter(Boolean).length;
  for (let attempt = 0; (await running()) < 2 && attempt < 300; attempt++) await Bun.sleep(20);
  expect(await engine.ok("port", "web")).toBe(port);
  expect(await reaches("web", "peer")).toBe(true);
  expect(await reaches("web", "10.234.9.9")).toBe(true);
  await serve("web", 80);
  expect(await say("127.0.0.1", /:(\d+)/.exec(port)?.[1] ?? "")).toBe("web");
}, 60_000);
