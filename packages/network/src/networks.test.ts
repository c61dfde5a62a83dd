import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, errorCode, errorMessage, Scope } from "@slipway/base";
import { createNetworkNamespace, removeNetworkNamespace, unmountBelow } from "@slipway/sys";
import {
  type NetworkOptions,
  type Networks,
  networkMigrations,
  openNetworks,
  type PublishedPort,
  type Sandbox,
} from "./index.ts";

let scope = new Scope();
let dir = "";
let log: string[] = [];
beforeEach(() => {
  scope = new Scope();
  log = [];
  dir = mkdtempSync(join(tmpdir(), "slipway-net-"));
  scope.defer(() => {
    unmountBelow(dir);
    rmSync(dir, { recursive: true, force: true });
  });
});
afterEach(() => scope[Symbol.asyncDispose]());

function run(...command: string[]): string {
  const done = Bun.spawnSync(command, { stdin: "ignore", stderr: "pipe" });
  if (!done.success) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}

let counter = 0;
/** An engine's networks with names of their own, gone at the end of the test. */
function engine(
  options: Partial<NetworkOptions> = {},
): Networks & { readonly bridge: string; readonly database: Database } {
  const bridge = options.bridge ?? `swt${process.pid % 100000}${counter++}`;
  const database = options.database ?? new Database(":memory:");
  if (options.database === undefined) for (const step of networkMigrations.steps) database.run(step);
  const logger = createLogger({ level: "info", format: "text", write: (line) => log.push(line) });
  const execRoot = options.execRoot ?? join(dir, `exec${counter}`);
  const networks = openNetworks({ database, execRoot, bridge, logger, linger: 20, ...options });
  scope.defer(async () => {
    await networks.reconcile(new Set());
    await networks.close();
  });
  return Object.assign(networks, { bridge, database });
}

function inside(sandbox: Sandbox, ...command: string[]): string {
  return run("nsenter", `--net=${sandbox.namespacePath}`, ...command);
}

/** A web server inside, answering with its own name. */
async function serve(sandbox: Sandbox, text: string, port = 80): Promise<void> {
  const root = join(dir, `www-${text}`);
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "index.html"), text);
  const child = Bun.spawn([
    "nsenter",
    `--net=${sandbox.namespacePath}`,
    "busybox",
    "httpd",
    "-f",
    "-p",
    String(port),
    "-h",
    root,
  ]);
  scope.defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  await until(() => inside(sandbox, "ss", "-Hltn").includes(`:${port} `), "the server inside listens");
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await Bun.sleep(5);
  }
}

function tcp(containerPort: number, hostPort: number, hostAddress = "0.0.0.0"): PublishedPort {
  return { protocol: "tcp", containerPort, hostPort, hostAddress };
}

/** The page that a server shows to somebody inside, or "" if there is none to be had. */
async function get(
  from: { readonly namespacePath: string },
  host: string | undefined,
  port: number | undefined,
): Promise<string> {
  const command = ["nsenter", `--net=${from.namespacePath}`, "busybox", "nc", "-w", "2", host ?? "", String(port)];
  const child = Bun.spawn(command, { stdin: Buffer.from("GET / HTTP/1.0\r\n\r\n"), stdout: "pipe", stderr: "ignore" });
  const answer = await new Response(child.stdout).text();
  return (answer.split("\r\n\r\n")[1] ?? "").trim();
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3000), keepalive: false });
  return (await response.text()).trim();
}

function links(): string {
  return run("ip", "-o", "link");
}

/** A machine beside this one: a namespace with a wire to the host. */
function neighbour(): { readonly namespacePath: string; readonly hostAddress: string } {
  const path = join(dir, "neighbour");
  createNetworkNamespace(path);
  scope.defer(() => removeNetworkNamespace(path));
  const wire = `swn${process.pid % 100000}${counter++}`;
  run("ip", "link", "add", wire, "type", "veth", "peer", "name", "wire", "netns", path);
  scope.defer(() => {
    Bun.spawnSync(["ip", "link", "delete", wire]);
  });
  run("ip", "addr", "add", "198.51.100.1/24", "dev", wire);
  run("ip", "link", "set", wire, "up");
  const nsenter = ["nsenter", `--net=${path}`];
  run(...nsenter, "ip", "addr", "add", "198.51.100.2/24", "dev", "wire");
  run(...nsenter, "ip", "link", "set", "wire", "up");
  run(...nsenter, "ip", "route", "add", "default", "via", "198.51.100.1");
  return { namespacePath: path, hostAddress: "198.51.100.1" };
}

describe("a container on the default bridge", () => {
  test("has lo, an address, a way out, and reaches its neighbour and the host", async () => {
    const networks = engine();
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    const two = await networks.connect({ containerId: "two", network: "default", ports: [] });
    const [endpoint] = one.endpoints;
    expect(endpoint?.networkName).toBe("bridge");
    expect(endpoint?.macAddress).toMatch(/^02:42:/);
    const shown = inside(one, "ip", "-o", "addr");
    expect(shown).toContain("127.0.0.1/8");
    expect(shown).toContain(`inet ${endpoint?.address}/${endpoint?.prefixLength} `);
    expect(shown).not.toContain("fe80");
    expect(inside(one, "ip", "route")).toContain(`default via ${endpoint?.gateway} dev eth0`);
    expect(inside(one, "ip", "link", "show", "eth0")).toContain(endpoint?.macAddress ?? "?");
    inside(one, "busybox", "ping", "-c1", "-W2", two.endpoints[0]?.address ?? "");
    inside(one, "busybox", "ping", "-c1", "-W2", endpoint?.gateway ?? "");
    expect(networks.sandbox("one")).toMatchObject(one);
    expect(networks.find("bridge")).toMatchObject({
      driver: "bridge",
      bridge: networks.bridge,
      gateway: endpoint?.gateway ?? "",
    });
    expect(readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim()).toBe("1");
  });

  test("goes out under the host's address", async () => {
    const networks = engine();
    const outside = neighbour();
    await serve({ namespacePath: outside.namespacePath, endpoints: [] }, "outside", 8081);
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    expect(await get(one, "198.51.100.2", 8081)).toBe("outside");
  });

  test("gets the address and the hardware address it asks for, once", async () => {
    const networks = engine({ bip: "10.213.7.1/24" });
    const request = { network: "bridge", ports: [], address: "10.213.7.77", macAddress: "02:00:00:00:00:77" };
    const one = await networks.connect({ ...request, containerId: "one" });
    expect(one.endpoints[0]).toMatchObject({ address: "10.213.7.77", gateway: "10.213.7.1", prefixLength: 24 });
    expect(inside(one, "ip", "link", "show", "eth0")).toContain("02:00:00:00:00:77");
    await expect(networks.connect({ ...request, containerId: "two" })).rejects.toThrow("10.213.7.77 is in use");
    await expect(networks.connect({ ...request, address: "10.9.9.9", containerId: "two" })).rejects.toThrow(
      "not in 10.213.7.0/24",
    );
    await expect(networks.connect({ ...request, network: "none", containerId: "two" })).rejects.toThrow(
      "nothing can be attached",
    );
    await expect(networks.connect({ ...request, network: "nope", containerId: "two" })).rejects.toThrow(
      "network nope not found",
    );
    expect(networks.sandbox("two")).toBeUndefined();
  });

  test("leaves nothing behind: with the last one bridge and table go as well", async () => {
    const networks = engine();
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [tcp(80, 0)] });
    expect(links()).toContain(`${networks.bridge}:`);
    expect(run("nft", "list", "tables")).toContain(networks.bridge);
    await networks.release("one");
    await networks.release("one");
    expect(existsSync(one.namespacePath)).toBe(false);
    await until(() => !links().includes(networks.bridge), "the bridge is gone");
    await until(() => !run("nft", "list", "tables").includes(networks.bridge), "the table is gone");
    const two = await networks.connect({ containerId: "two", network: "bridge", ports: [] });
    expect(two.endpoints[0]?.address).toBe(one.endpoints[0]?.address ?? "");
  });

  test("sixteen at once all work", async () => {
    const networks = engine();
    const ids = Array.from({ length: 16 }, (_, index) => `c${index}`);
    const sandboxes = await Promise.all(
      ids.map((containerId) => networks.connect({ containerId, network: "bridge", ports: [tcp(80, 0)] })),
    );
    expect(new Set(sandboxes.map((each) => each.endpoints[0]?.address)).size).toBe(16);
    expect(new Set(sandboxes.map((each) => each.endpoints[0]?.ports[0]?.hostPort)).size).toBe(16);
    for (const sandbox of sandboxes)
      inside(sandbox, "busybox", "ping", "-c1", "-W2", sandbox.endpoints[0]?.gateway ?? "");
    await Promise.all(ids.map((id) => networks.release(id)));
  });
});

describe("a container without a network", () => {
  test("has lo and nothing else", async () => {
    const sandbox = await engine().isolate("alone");
    expect(inside(sandbox, "ip", "-o", "link").trim().split("\n").length).toBe(1);
    expect(inside(sandbox, "ip", "-o", "addr")).toContain("127.0.0.1/8");
    expect(() => inside(sandbox, "busybox", "ping", "-c1", "-W1", "192.0.2.2")).toThrow("unreachable");
  });
});

describe("published ports", () => {
  test("are reached from loopback in both families, from the host, from outside, from neighbours and from the container itself", async () => {
    const networks = engine();
    const outside = neighbour();
    const web = await networks.connect({
      containerId: "web",
      network: "bridge",
      ports: [tcp(80, 0), tcp(80, 0, "::")],
    });
    const other = await networks.connect({ containerId: "other", network: "bridge", ports: [] });
    await serve(web, "hello");
    const port = web.endpoints[0]?.ports[0]?.hostPort ?? 0;
    expect(web.endpoints[0]?.ports.map((each) => each.hostPort)).toEqual([port, port]);
    for (const host of ["127.0.0.1", "[::1]", outside.hostAddress, web.endpoints[0]?.gateway]) {
      expect(await fetchText(`http://${host}:${port}/`)).toBe("hello");
    }
    expect(await get(outside, outside.hostAddress, port)).toBe("hello");
    expect(await get(other, outside.hostAddress, port)).toBe("hello");
    expect(await get(web, outside.hostAddress, port)).toBe("hello");
    expect(await get(other, web.endpoints[0]?.gateway, port)).toBe("hello");
  });

  test("on one address are reached there only; ports that are not published not at all from outside", async () => {
    const networks = engine();
    const outside = neighbour();
    const web = await networks.connect({ containerId: "web", network: "bridge", ports: [tcp(80, 0, "127.0.0.1")] });
    await serve(web, "private");
    await serve(web, "unpublished", 81);
    const port = web.endpoints[0]?.ports[0]?.hostPort ?? 0;
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("private");
    expect(await get(outside, outside.hostAddress, port)).toBe("");
    expect(await get(outside, web.endpoints[0]?.address, 81)).toBe("");
    expect(await fetchText(`http://${web.endpoints[0]?.address}:81/`)).toBe("unpublished");
  });

  test("do not open the host's loopback to containers", async () => {
    const networks = engine();
    using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("secret") });
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    inside(one, "ip", "link", "set", "lo", "down");
    inside(one, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
    run(
      "nsenter",
      `--net=${one.namespacePath}`,
      "ip",
      "route",
      "add",
      "127.0.0.0/8",
      "via",
      one.endpoints[0]?.gateway ?? "",
      "dev",
      "eth0",
    );
    run("nsenter", `--net=${one.namespacePath}`, "ip", "route", "flush", "table", "local");
    expect(await get(one, "127.0.0.1", server.port)).toBe("");
    expect(await fetchText(`http://127.0.0.1:${server.port}/`)).toBe("secret");
  });

  test("carry UDP", async () => {
    const networks = engine();
    const port: PublishedPort = { protocol: "udp", containerPort: 5353, hostPort: 0, hostAddress: "0.0.0.0" };
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [port] });
    const script = "Bun.udpSocket({port:5353,socket:{data(s,d,p,a){s.send(d,p,a)}}}).then(()=>console.log('ready'))";
    const echo = Bun.spawn(["nsenter", `--net=${one.namespacePath}`, process.execPath, "-e", script], {
      stdout: "pipe",
    });
    scope.defer(async () => {
      echo.kill("SIGKILL");
      await echo.exited;
    });
    await echo.stdout.getReader().read();
    const answer = Promise.withResolvers<string>();
    const client = await Bun.udpSocket({ socket: { data: (_socket, data) => answer.resolve(data.toString()) } });
    client.send("ping", one.endpoints[0]?.ports[0]?.hostPort ?? 0, "127.0.0.1");
    expect(await Promise.race([answer.promise, Bun.sleep(3000).then(() => "nothing")])).toBe("ping");
    client.close();
  });

  test("half-closed connections over IPv6 get their whole answer", async () => {
    const networks = engine();
    const web = await networks.connect({ containerId: "web", network: "bridge", ports: [tcp(7, 0, "::1")] });
    const script = "busybox nc -l -p 7 -e busybox cat";
    const child = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, ...script.split(" ")]);
    scope.defer(async () => {
      child.kill("SIGKILL");
      await child.exited;
    });
    await until(() => inside(web, "ss", "-Hltn").includes(":7 "), "echo listens");
    const bytes = Buffer.alloc(1_000_000, "abcdefg");
    const received = await new Promise<Uint8Array>((resolve, reject) => {
      const socket = net.connect({ host: "::1", port: web.endpoints[0]?.ports[0]?.hostPort ?? 0, allowHalfOpen: true });
      const parts: Uint8Array[] = [];
      socket
        .on("data", (part) => parts.push(part as Uint8Array))
        .on("end", () => resolve(Buffer.concat(parts)))
        .on("error", reject);
      socket.end(bytes);
    });
    expect(Buffer.compare(received, bytes)).toBe(0);
  });

  test("that are taken are refused, naming the holder", async () => {
    const networks = engine();
    using server = Bun.serve({ port: 0, hostname: "0.0.0.0", fetch: () => new Response("") });
    const port = server.port ?? 0;
    const refused = await networks
      .connect({ containerId: "a", network: "bridge", ports: [tcp(80, port)] })
      .catch((error: unknown) => error);
    expect(errorCode(refused)).toBe("conflict");
    expect(errorMessage(refused)).toMatch(
      new RegExp(`Bind for 0.0.0.0:${port} failed: port is already allocated by .+ \\(process ${process.pid}\\)`),
    );
    const first = await networks.connect({ containerId: "f".repeat(64), network: "bridge", ports: [tcp(80, 0)] });
    const taken = first.endpoints[0]?.ports[0]?.hostPort ?? 0;
    await expect(
      networks.connect({ containerId: "b", network: "bridge", ports: [tcp(81, taken, "127.0.0.1")] }),
    ).rejects.toThrow(`Bind for 127.0.0.1:${taken} failed: port is already allocated by container ffffffffffff`);
    await expect(
      networks.connect({ containerId: "b", network: "bridge", ports: [tcp(81, 0, "203.0.113.9")] }),
    ).rejects.toThrow("no address 203.0.113.9");
    expect(networks.sandbox("a")).toBeUndefined();
    expect(networks.sandbox("b")).toBeUndefined();
    await networks.release("f".repeat(64));
    await networks.connect({ containerId: "b", network: "bridge", ports: [tcp(80, taken)] });
  });
});

describe("after a crash", () => {
  test("what runs keeps its network, what does not is removed, with files and interfaces that nobody knows", async () => {
    const before = engine();
    const execRoot = join(dir, `exec${counter}`);
    const web = await before.connect({ containerId: "web", network: "bridge", ports: [tcp(80, 0), tcp(80, 0, "::")] });
    const dead = await before.connect({ containerId: "dead", network: "bridge", ports: [] });
    await serve(web, "alive");
    createNetworkNamespace(join(execRoot, "netns", "stray"));
    // No close: the process "died". Its listeners are gone with it, which only a close can do here.
    await before.close();
    const after = engine({ bridge: before.bridge, database: before.database, execRoot });
    await after.reconcile(new Set(["web"]));
    expect(readdirSync(join(execRoot, "netns"))).toEqual(["web"]);
    expect(after.sandbox("dead")).toBeUndefined();
    expect(existsSync(dead.namespacePath)).toBe(false);
    const port = web.endpoints[0]?.ports[0]?.hostPort;
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("alive");
    expect(await fetchText(`http://[::1]:${port}/`)).toBe("alive");
    await after.reconcile(new Set());
    expect(links()).not.toContain(before.bridge);
    expect(run("nft", "list", "tables")).not.toContain(before.bridge);
  });

  test("a flushed table comes back, with the ports; connections work meanwhile", async () => {
    const networks = engine();
    const web = await networks.connect({ containerId: "web", network: "bridge", ports: [tcp(80, 0)] });
    await serve(web, "still here");
    const port = web.endpoints[0]?.ports[0]?.hostPort;
    run("nft", "delete", "table", "ip", `slipway_${networks.bridge}`);
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("still here");
    await networks.reconcile(new Set(["web"]));
    expect(run("nft", "list", "table", "ip", `slipway_${networks.bridge}`)).toContain(
      `tcp . ${port} : ${web.endpoints[0]?.address} . 80`,
    );
    run("nft", "delete", "table", "ip", `slipway_${networks.bridge}`);
    await networks.connect({ containerId: "next", network: "bridge", ports: [] });
    expect(run("nft", "list", "table", "ip", `slipway_${networks.bridge}`)).toContain(`tcp . ${port} :`);
  });

  test("a deleted bridge comes back with its containers on it", async () => {
    const networks = engine();
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    run("ip", "link", "delete", networks.bridge);
    const two = await networks.connect({ containerId: "two", network: "bridge", ports: [] });
    inside(one, "busybox", "ping", "-c1", "-W2", two.endpoints[0]?.address ?? "");
  });

  test("a reboot, which leaves rows and plain files, ends in nothing", async () => {
    const before = engine();
    const execRoot = join(dir, `exec${counter}`);
    const one = await before.connect({ containerId: "one", network: "bridge", ports: [] });
    removeNetworkNamespace(one.namespacePath);
    writeFileSync(one.namespacePath, "");
    const after = engine({ bridge: before.bridge, database: before.database, execRoot });
    await after.reconcile(new Set(["one"]));
    expect(after.sandbox("one")).toBeUndefined();
    expect(log.join("\n")).toContain("lost its network");
    const again = await after.connect({ containerId: "one", network: "bridge", ports: [] });
    inside(again, "busybox", "ping", "-c1", "-W2", again.endpoints[0]?.gateway ?? "");
  });

  test("a connect that fails in the middle leaves nothing", async () => {
    const networks = engine();
    const holder = await networks.connect({ containerId: "holder", network: "bridge", ports: [] });
    const abort = AbortSignal.abort(new Error("stop"));
    await expect(networks.connect({ containerId: "x", network: "bridge", ports: [] }, abort)).rejects.toThrow();
    run("ip", "link", "set", "lo", "up");
    expect(networks.sandbox("x")).toBeUndefined();
    expect(existsSync(holder.namespacePath.replace("holder", "x"))).toBe(false);
  });
});

describe("engines beside each other", () => {
  test("have subnets, bridges and rules of their own, and publish to each other", async () => {
    const [one, two] = [engine(), engine()];
    const web = await one.connect({ containerId: "web", network: "bridge", ports: [tcp(80, 0)] });
    const client = await two.connect({ containerId: "web", network: "bridge", ports: [] });
    expect(one.find("bridge")?.subnet).not.toBe(two.find("bridge")?.subnet ?? "");
    await serve(web, "one");
    const port = web.endpoints[0]?.ports[0]?.hostPort;
    expect(await get(client, client.endpoints[0]?.gateway, port)).toBe("one");
    await one.reconcile(new Set());
    inside(client, "busybox", "ping", "-c1", "-W2", client.endpoints[0]?.gateway ?? "");
  });

  test("of the same name: the second is refused as long as the first uses it", async () => {
    const one = engine();
    await one.connect({ containerId: "c", network: "bridge", ports: [] });
    const two = engine({ bridge: one.bridge });
    await expect(two.connect({ containerId: "c", network: "bridge", ports: [] })).rejects.toThrow(
      `${one.bridge} belongs to another engine`,
    );
    await two.reconcile(new Set());
    expect(links()).toContain(`${one.bridge}:`);
  });
});
