import { describe, expect, test } from "bun:test";
import net from "node:net";
import { errorCode, errorMessage } from "@slipway/base";
import { withNetworkNamespace } from "@slipway/sys";
import type { PublishedPort } from "../index.ts";
import { engine, fetchText, get, inside, neighbour, run, serve, tcp, until, useMachine } from "../network-fixture.ts";

const machine = useMachine();

function udp(hostPort: number): PublishedPort {
  return { protocol: "udp", containerPort: 5353, hostPort, hostAddress: "0.0.0.0" };
}

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
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket) => {
          socket.end("HTTP/1.0 200 OK\r\n\r\nsecret");
        },
      },
    });
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    // A container that does all it can: it sends packets for 127.0.0.1 to the host.
    const [endpoint] = one.endpoints;
    inside(one, "ip", "addr", "flush", "dev", "lo");
    inside(one, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
    const via = ["via", endpoint?.gateway ?? "", "dev", "eth0", "src", endpoint?.address ?? ""];
    inside(one, "ip", "route", "add", "127.0.0.0/8", ...via);
    expect(await get(one, "127.0.0.1", server.port)).toBe("");
    // It is the rule that stops it.
    run("nft", "flush", "chain", "inet", `slipway_${networks.bridge}`, "raw");
    expect(await get(one, "127.0.0.1", server.port)).toBe("secret");
    expect(await fetchText(`http://127.0.0.1:${server.port}/`)).toBe("secret");
  });

  test.each([
    ["0.0.0.0", "127.0.0.1"],
    ["::", "::1"],
  ])("carry UDP that comes to %s", async (hostAddress, target) => {
    const networks = engine();
    const port: PublishedPort = { protocol: "udp", containerPort: 5353, hostPort: 0, hostAddress };
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [port] });
    const script = "Bun.udpSocket({port:5353,socket:{data(s,d,p,a){s.send(d,p,a)}}}).then(()=>console.log('ready'))";
    const echo = Bun.spawn(["nsenter", `--net=${one.namespacePath}`, process.execPath, "-e", script], {
      stdout: "pipe",
    });
    machine().scope.defer(async () => {
      echo.kill("SIGKILL");
      await echo.exited;
    });
    await echo.stdout.getReader().read();
    const answer = Promise.withResolvers<string>();
    const hostname = target === "::1" ? "::1" : "0.0.0.0";
    const data = (_socket: unknown, answered: Buffer) => answer.resolve(answered.toString());
    const client = await Bun.udpSocket({ hostname, socket: { data } });
    client.send("ping", one.endpoints[0]?.ports[0]?.hostPort ?? 0, target);
    expect(await Promise.race([answer.promise, Bun.sleep(3000).then(() => "nothing")])).toBe("ping");
    client.close();
  });

  test("carry UDP of a sender that never stops to each container that has the port, one after another", async () => {
    const networks = engine();
    const outside = neighbour();
    // Rules, and with them tracking of connections, from the first packet on.
    await networks.connect({ containerId: "other", network: "bridge", ports: [] });
    const probe = await networks.connect({ containerId: "probe", network: "bridge", ports: [udp(0)] });
    const port = probe.endpoints[0]?.ports[0]?.hostPort ?? 0;
    await networks.release("probe");
    let last = "";
    const client = await withNetworkNamespace(outside.namespacePath, () =>
      Bun.udpSocket({
        connect: { hostname: outside.hostAddress, port },
        socket: {
          data: (_socket, data) => {
            last = data.toString();
          },
          error() {},
        },
      }),
    );
    const timer = setInterval(() => client.send("who"), 20);
    machine().scope.defer(() => {
      clearInterval(timer);
      client.close();
    });
    await Bun.sleep(60);
    const addresses: string[] = [];
    for (const name of ["one", "two"]) {
      const sandbox = await networks.connect({ containerId: name, network: "bridge", ports: [udp(port)] });
      const answerer = await withNetworkNamespace(sandbox.namespacePath, () =>
        Bun.udpSocket({
          port: 5353,
          socket: { data: (socket, _data, from, address) => void socket.send(name, from, address) },
        }),
      );
      const end = Date.now() + 3000;
      while (last !== name && Date.now() < end) await Bun.sleep(10);
      expect(last).toBe(name);
      answerer.close();
      await networks.release(name);
      addresses.push(sandbox.endpoints[0]?.address ?? "");
      // The first one's address is another's now: nothing may go there.
      if (name === "one") await networks.connect({ containerId: "squatter", network: "bridge", ports: [] });
    }
    expect(new Set(addresses).size).toBe(2);
  });

  test("half-closed connections over IPv6 get their whole answer", async () => {
    const networks = engine();
    const web = await networks.connect({ containerId: "web", network: "bridge", ports: [tcp(7, 0, "::1")] });
    const script = "busybox nc -l -p 7 -e busybox cat";
    const child = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, ...script.split(" ")]);
    machine().scope.defer(async () => {
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
    const names = ["web"];
    await networks.connect({ containerId: "b".repeat(64), network: "bridge", ports: [tcp(80, taken)], names });
    await expect(networks.connect({ containerId: "c", network: "bridge", ports: [tcp(80, taken)] })).rejects.toThrow(
      "port is already allocated by container web (bbbbbbbbbbbb)",
    );
  });
});
