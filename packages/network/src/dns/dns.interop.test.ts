import { describe, expect, test } from "bun:test";
import { parseIp } from "../addresses/ip-block.ts";
import { engine, inside, useMachine } from "../network-fixture.ts";
import { ask, askTcp, lookup, outside, question, runInside } from "./dns-fixture.ts";
import { RCODE, reverseName } from "./dns-message.ts";

const machine = useMachine();
const AAAA = 28;
const ID = { web: "ab".repeat(32), db: "cd".repeat(32), other: "ef".repeat(32) } as const;

function reverse(address: string | undefined): string {
  const parsed = parseIp(address ?? "");
  if (parsed === undefined) throw new Error("no address");
  return reverseName(parsed);
}

async function pair(nameservers: Parameters<typeof engine>[0] = {}) {
  const networks = engine({ nameservers: () => [], ...nameservers });
  await networks.create({ name: "back", ipv6: true });
  const web = await networks.connect({ containerId: ID.web, network: "back", ports: [], names: ["web"] });
  const db = await networks.connect({ containerId: ID.db, network: "back", ports: [], names: ["db", "database"] });
  return { networks, web, db, webAddress: web.endpoints[0]?.address ?? "", dbAddress: db.endpoints[0]?.address ?? "" };
}

describe("names of containers", () => {
  test("are answered: name, alias, ID, name with network, in any case; the other family and unknown types with nothing", async () => {
    const { networks, web, db, dbAddress } = await pair();
    expect(web.nameserver).toBe("127.0.0.11");
    for (const name of ["db", "DB", "database", "db.back", ID.db, ID.db.slice(0, 12)]) {
      // A label has 63 characters at most: the whole ID is not a name that DNS can ask for.
      if (name.length > 63) continue;
      expect((await lookup(web, name))?.records).toEqual([dbAddress]);
    }
    expect((await lookup(db, "web"))?.records).toEqual([web.endpoints[0]?.address ?? ""]);
    expect((await lookup(web, "web"))?.records).toEqual([web.endpoints[0]?.address ?? ""]);
    const ipv6 = Buffer.from((await lookup(web, "db", AAAA))?.records[0] ?? "", "hex");
    expect(ipv6.length).toBe(16);
    expect(db.endpoints[0]?.ipv6?.address).toEndWith("::3");
    expect(await lookup(web, "db", 16)).toMatchObject({ rcode: RCODE.NOERROR, records: [] });
    expect(await lookup(web, "nobody")).toMatchObject({ rcode: RCODE.SERVFAIL, records: [] });
    networks.rename(ID.db, "back", ["store"]);
    expect((await lookup(web, "store"))?.records).toEqual([dbAddress]);
    expect(await lookup(web, "db")).toMatchObject({ rcode: RCODE.SERVFAIL });
    await networks.release(ID.db);
    expect(await lookup(web, "store")).toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  test("are found backwards, in both families; a free address of the network belongs to nobody", async () => {
    const { web, db, dbAddress } = await pair();
    const written = Buffer.from("\x02db\x04back\0", "latin1").toString("hex");
    expect((await lookup(web, reverse(dbAddress), 12))?.records).toEqual([written]);
    expect((await lookup(web, reverse(db.endpoints[0]?.ipv6?.address), 12))?.records).toEqual([written]);
    const free = dbAddress.replace(/\d+$/, "200");
    expect(await lookup(web, reverse(free), 12)).toMatchObject({ rcode: RCODE.NXDOMAIN });
  });

  test("are a matter of shared networks only", async () => {
    const { networks, web, dbAddress } = await pair();
    await networks.create({ name: "front" });
    const other = await networks.connect({
      containerId: ID.other,
      network: "front",
      ports: [],
      names: ["other", "db"],
    });
    expect((await lookup(other, "db"))?.records).toEqual([other.endpoints[0]?.address ?? ""]);
    expect(await lookup(other, "web")).toMatchObject({ rcode: RCODE.SERVFAIL });
    expect(await lookup(other, reverse(dbAddress), 12)).toMatchObject({ rcode: RCODE.SERVFAIL });
    expect((await lookup(web, "db"))?.records).toEqual([dbAddress]);
    const both = await networks.connectEndpoint({
      containerId: ID.other,
      network: "back",
      ports: [],
      names: ["other"],
    });
    expect((await lookup(web, "other"))?.records).toEqual([both.endpoints[1]?.address ?? ""]);
    expect((await lookup(both, "web"))?.rcode).toBe(RCODE.NOERROR);
    await networks.disconnectEndpoint(ID.other, "back");
    expect(await lookup(web, "other")).toMatchObject({ rcode: RCODE.SERVFAIL });
    expect(await lookup(other, "web")).toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  test("that several share take turns; links are words of one container", async () => {
    const { networks, web, dbAddress } = await pair();
    const ids = ["1", "2", "3"].map((each) => each.repeat(64));
    for (const containerId of ids) {
      await networks.connect({ containerId, network: "back", ports: [], names: [`w${containerId[0]}`, "worker"] });
    }
    const firsts = new Set<string>();
    for (let round = 0; round < 6; round++) {
      const answer = await lookup(web, "worker");
      expect(answer?.records.length).toBe(3);
      firsts.add(answer?.records[0] ?? "");
    }
    expect(firsts.size).toBe(3);
    const linked = await networks.connect({
      ...{ containerId: ID.other, network: "back", ports: [], names: ["linked"] },
      links: { "my-db": "db", web: "database" },
    });
    expect((await lookup(linked, "my-db"))?.records).toEqual([dbAddress]);
    expect((await lookup(linked, "web"))?.records).toEqual([dbAddress]);
    expect(await lookup(web, "my-db")).toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  test("are found by real clients: musl-like, busybox, glibc and python", async () => {
    const { web, db, dbAddress } = await pair();
    const { dir } = machine();
    expect(await runInside(web, dir, "busybox", "nslookup", "-type=a", "db")).toContain(dbAddress);
    expect(await runInside(web, dir, "getent", "ahostsv4", "database")).toContain(dbAddress);
    expect(await runInside(web, dir, "getent", "hosts", dbAddress)).toContain("db.back");
    expect(await runInside(web, dir, "getent", "ahostsv6", "db")).toContain(db.endpoints[0]?.ipv6?.address ?? "?");
    const script =
      "import socket; print(socket.gethostbyname('db'), socket.gethostbyaddr(socket.gethostbyname('db'))[0])";
    expect(await runInside(web, dir, "/usr/bin/env", "python3", "-c", script)).toContain(`${dbAddress} db.back`);
  }, 20_000);

  test("do not take port 53 from the container, nor does the container take ours", async () => {
    const { networks, web, db, dbAddress } = await pair();
    const script =
      "import socket; u=socket.socket(type=socket.SOCK_DGRAM); u.bind(('0.0.0.0',53)); t=socket.socket(); t.bind(('0.0.0.0',53)); t.listen(); print('bound', flush=True); import time; time.sleep(60)";
    const child = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, "python3", "-c", script], {
      stdin: "pipe",
      stdout: "pipe",
    });
    const reader = child.stdout.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toStartWith("bound");
    expect((await lookup(web, "db"))?.records).toEqual([dbAddress]);
    child.kill("SIGKILL");
    await child.exited;
    // Somebody in the container sits on our port when the daemon comes back.
    await networks.close();
    const rude =
      "import socket; t=socket.socket(); t.bind(('0.0.0.0',63053)); t.listen(); print('bound', flush=True); import time; time.sleep(60)";
    const second = Bun.spawn(["nsenter", `--net=${db.namespacePath}`, "python3", "-c", rude], {
      stdin: "pipe",
      stdout: "pipe",
    });
    await second.stdout.getReader().read();
    await networks.reconcile(new Set([ID.web, ID.db]));
    expect((await lookup(db, "web"))?.rcode).toBe(RCODE.NOERROR);
    second.kill("SIGKILL");
    await second.exited;
  }, 20_000);

  test("pass the container's own connection tracking", async () => {
    const { web, dbAddress } = await pair();
    const rules =
      "table ip t { chain i { type filter hook input priority 0; policy drop; ct state established,related accept; udp dport != 1 ct state new udp dport 63053 accept; tcp dport 63053 ct state new accept; }\n chain n { type nat hook postrouting priority 100; policy accept; masquerade; }\n}\n";
    const child = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, "nft", "-f", "-"], { stdin: Buffer.from(rules) });
    await child.exited;
    expect((await lookup(web, "db"))?.records).toEqual([dbAddress]);
    expect((await askTcp(web, question("db")))[0]?.records).toEqual([dbAddress]);
  });

  test("are not served on the default network", async () => {
    const networks = engine({ nameservers: () => [] });
    const one = await networks.connect({ containerId: ID.web, network: "bridge", ports: [], names: ["web"] });
    expect(one.nameserver).toBeUndefined();
    expect(inside(one, "ss", "-Hlnu").trim()).toBe("");
    await networks.create({ name: "back" });
    const two = await networks.connectEndpoint({ containerId: ID.web, network: "back", ports: [], names: ["web"] });
    expect(two.nameserver).toBe("127.0.0.11");
    expect((await lookup(two, "web"))?.records).toEqual([two.endpoints[1]?.address ?? ""]);
    const three = await networks.disconnectEndpoint(ID.web, "back");
    expect(three.nameserver).toBeUndefined();
    expect(inside(one, "ss", "-Hlnu").trim()).toBe("");
  });
});

describe("names of the outside", () => {
  test("are asked of the host's servers, also on its loopback, by UDP and TCP, with the true return codes", async () => {
    await using server = await outside();
    const { web, dbAddress } = await pair({ nameservers: () => [server.server] });
    expect(await lookup(web, "www.good.test")).toMatchObject({ rcode: RCODE.NOERROR, records: ["192.0.2.1"] });
    expect(await lookup(web, "nope.test")).toMatchObject({ rcode: RCODE.NXDOMAIN });
    expect(await lookup(web, "broken.test")).toMatchObject({ rcode: RCODE.SERVFAIL });
    expect(await lookup(web, "big.test")).toMatchObject({ truncated: true, records: [] });
    const [big, own, good] = await askTcp(web, question("big.test"), question("db"), question("a.good.test"));
    expect([big, own, good].map((each) => each?.records.length).sort()).toEqual([1, 1, 200]);
    expect(server.seen).not.toContain("udp db");
    expect(server.seen).toContain("tcp big.test");
    expect(dbAddress).not.toBe("");
    expect(await runInside(web, machine().dir, "getent", "ahostsv4", "x.good.test")).toContain("192.0.2.1");
    expect(await runInside(web, machine().dir, "busybox", "nslookup", "nope.test")).toContain("NXDOMAIN");
  }, 20_000);

  test("a server that is silent or refuses is passed over", async () => {
    await using server = await outside();
    const silent = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const servers = [{ host: "127.0.0.1", port: 1 }, { host: "127.0.0.1", port: silent.port }, server.server];
    const { web } = await pair({ nameservers: () => servers });
    const started = performance.now();
    expect(await lookup(web, "www.good.test")).toMatchObject({ records: ["192.0.2.1"] });
    expect(performance.now() - started).toBeLessThan(2500);
    const failed = performance.now();
    expect(await lookup(web, "silent.test")).toMatchObject({ rcode: RCODE.SERVFAIL });
    expect(performance.now() - failed).toBeWithin(4000, 5000);
    silent.close();
  }, 20_000);

  test("a container's own servers are asked instead, if it has any", async () => {
    await using server = await outside();
    const networks = engine({ nameservers: () => [server.server] });
    await networks.create({ name: "back" });
    const web = await networks.connect({ containerId: ID.web, network: "back", ports: [], nameservers: ["127.0.0.2"] });
    expect((await lookup(web, "www.good.test"))?.rcode).toBe(RCODE.SERVFAIL);
    expect(server.seen).toEqual([]);
  }, 20_000);

  test("are no way out of internal networks", async () => {
    await using server = await outside();
    const networks = engine({ nameservers: () => [server.server] });
    await networks.create({ name: "secret", internal: true });
    await networks.create({ name: "open" });
    const web = await networks.connect({ containerId: ID.web, network: "secret", ports: [], names: ["web"] });
    const spy = await networks.connect({
      containerId: ID.db,
      network: "secret",
      ports: [],
      nameservers: ["127.0.0.1"],
    });
    for (const sandbox of [web, spy]) {
      expect((await lookup(sandbox, "stolen.good.test"))?.rcode).toBe(RCODE.SERVFAIL);
      expect((await lookup(sandbox, "web"))?.records).toEqual([web.endpoints[0]?.address ?? ""]);
    }
    expect(server.seen).toEqual([]);
    await networks.connectEndpoint({ containerId: ID.web, network: "open", ports: [] });
    expect((await lookup(web, "www.good.test"))?.records).toEqual(["192.0.2.1"]);
    await networks.disconnectEndpoint(ID.web, "open");
    expect((await lookup(web, "www.good.test"))?.rcode).toBe(RCODE.SERVFAIL);
  });

  test("answers under another ID, about another name or from elsewhere are not believed", async () => {
    const forger = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, data, port, address) {
          const answer = (change: (bytes: Buffer) => void): void => {
            const bytes = Buffer.concat([data, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 6, 6, 6, 6])]);
            bytes.set([0x81, 0x80, 0, 1, 0, 1], 2);
            change(bytes);
            socket.send(bytes, port, address);
          };
          answer((bytes) => bytes.writeUInt16BE(bytes.readUInt16BE(0) ^ 1, 0));
          answer((bytes) => bytes.set([0x78], 13));
          answer((bytes) => bytes.set([0x01], 2));
          answer((bytes) => bytes.set([9, 9, 9, 9], bytes.length - 4));
        },
      },
    });
    const { web } = await pair({ nameservers: () => [{ host: "127.0.0.1", port: forger.port }] });
    expect((await lookup(web, "bank.test"))?.records).toEqual(["9.9.9.9"]);
    forger.close();
  });
});

describe("hostile clients", () => {
  test("get refusals or nothing, and others go on being answered", async () => {
    await using server = await outside();
    const { web, db, webAddress } = await pair({ nameservers: () => [server.server] });
    const good = question("web");
    const refusals: readonly (readonly [Uint8Array, number])[] = [
      [Buffer.concat([good.subarray(0, 12)]), RCODE.FORMERR],
      [Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]), RCODE.FORMERR],
      [Buffer.concat([good.subarray(0, 12), Buffer.alloc(400, "?")]), RCODE.FORMERR],
      [Buffer.from(good).fill(0, 4, 6), RCODE.FORMERR],
      [Buffer.from(good).fill(0x28, 2, 3), RCODE.NOTIMP],
    ];
    for (const [packet, rcode] of refusals) expect((await ask(web, packet))?.rcode).toBe(rcode);
    for (const packet of [Buffer.alloc(0), Buffer.from("x"), Buffer.from(good).fill(0x81, 2, 3)]) {
      expect(await ask(web, packet, 100)).toBeUndefined();
    }
    const script = `
import socket, os, random, sys
s=socket.socket(type=socket.SOCK_DGRAM); s.connect(("127.0.0.11",53))
random.seed(7)
for i in range(20000):
    b=bytearray(random.randbytes(random.randrange(0,300)))
    if i%2 and len(b)>12: b[2:12]=b"\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00"
    try: s.send(b)
    except OSError: pass
for i in range(40):
    try:
        c=socket.create_connection(("127.0.0.11",53),1); c.send(random.randbytes(3000)); 
    except OSError: pass
print("done")`;
    const flood = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, "python3", "-c", script], { stdout: "pipe" });
    let worst = 0;
    while (flood.exitCode === null) {
      const started = performance.now();
      expect((await lookup(db, "web"))?.records).toEqual([webAddress]);
      worst = Math.max(worst, performance.now() - started);
      await Bun.sleep(5);
    }
    expect(worst).toBeLessThan(500);
    expect((await lookup(web, "web"))?.records).toEqual([webAddress]);
  }, 30_000);

  test("with too many connections or questions are cut off, slow ones too", async () => {
    await using server = await outside();
    const { web, webAddress } = await pair({ nameservers: () => [server.server] });
    const many = Array.from({ length: 60 }, (_, index) => question("silent.test", 1, { id: index }));
    expect(await askTcp(web, ...many)).toEqual([]);
    const script = `
import socket
cs=[]
for i in range(60):
    try: cs.append(socket.create_connection(("127.0.0.11",53),2))
    except OSError: pass
q=b"\\x00\\x15\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x03web\\x00\\x00\\x01\\x00\\x01"
ok=0
for c in cs:
    try:
        c.settimeout(2); c.sendall(q); ok+= 1 if len(c.recv(100))>0 else 0
    except OSError: pass
print(ok)`;
    const child = Bun.spawn(["nsenter", `--net=${web.namespacePath}`, "python3", "-c", script], { stdout: "pipe" });
    expect((await new Response(child.stdout).text()).trim()).toBe("32");
    expect((await lookup(web, "web"))?.records).toEqual([webAddress]);
  }, 30_000);
});

describe("after a restart of the daemon", () => {
  test("names are answered again; questions in between wait instead of being refused", async () => {
    const { networks, web, dbAddress } = await pair();
    await networks.close();
    const waiting = runInside(web, machine().dir, "getent", "ahostsv4", "db");
    expect(await ask(web, question("db"), 100)).toBeUndefined();
    const after = engine({ bridge: networks.bridge, database: networks.database, execRoot: networks.execRoot });
    await after.reconcile(new Set([ID.web, ID.db]));
    expect((await lookup(web, "db"))?.records).toEqual([dbAddress]);
    expect(await waiting).toContain(dbAddress);
    // Rules that somebody flushed inside come back as well.
    inside(web, "nft", "flush", "ruleset");
    await after.close();
    const again = engine({ bridge: networks.bridge, database: networks.database, execRoot: networks.execRoot });
    await again.reconcile(new Set([ID.web, ID.db]));
    expect((await lookup(web, "db"))?.records).toEqual([dbAddress]);
  }, 20_000);
});
