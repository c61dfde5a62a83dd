import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { mounts } from "@slipway/sys";
import { lookup } from "./dns/dns-fixture.ts";
import {
  type Engine,
  engine,
  fetchText,
  inside,
  links,
  run,
  serve,
  tcp,
  until,
  useMachine,
} from "./network-fixture.ts";

const machine = useMachine();

/** Of this run alone: another engine of this machine may choose a block that has no bridge for a moment. */
const pools = [{ subnet: `10.215.${process.pid % 250}.0/24` }];

function next(before: Engine): Engine {
  const { bridge, database, execRoot } = before;
  return engine({ bridge, database, execRoot, nameservers: () => [] });
}

function table(networks: Engine): string {
  return run("nft", "list", "table", "inet", `slipway_${networks.bridge}`);
}

/** The rules as they would be shown if the counters and handles were all that differed. */
function sorted(text: string): string[] {
  return text
    .split(/[\n,{}]/)
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .sort();
}

describe("networks of the user's own, after a crash", () => {
  test("flushed rules, a deleted bridge and a deleted interface come back as they were", async () => {
    const before = engine({ nameservers: () => [] });
    const back = await before.create({ name: "back", ipv6: true, pools });
    await before.create({ name: "front", internal: true });
    const web = await before.connect({ containerId: "web", network: "back", ports: [tcp(80, 0)], names: ["web"] });
    await before.connect({ containerId: "db", network: "back", ports: [], names: ["db"] });
    await before.connectEndpoint({ containerId: "db", network: "front", ports: [] });
    await serve(web, "alive");
    const rules = sorted(table(before));
    await before.close();
    run("nft", "delete", "table", "inet", `slipway_${before.bridge}`);
    run("ip", "link", "delete", back.bridge ?? "");
    const doomed = /: (sw[0-9a-f]+)@/.exec(
      run("ip", "-o", "link", "show", "master", before.find("front")?.bridge ?? ""),
    )?.[1];
    run("ip", "link", "delete", doomed ?? "");
    const after = next(before);
    await after.reconcile(new Set(["web", "db"]));
    expect(sorted(table(after))).toEqual(rules);
    expect(await fetchText(`http://127.0.0.1:${web.endpoints[0]?.ports[0]?.hostPort}/`)).toBe("alive");
    const db = after.sandbox("db") ?? web;
    await until(
      () =>
        Bun.spawnSync([
          "nsenter",
          `--net=${db.namespacePath}`,
          "busybox",
          "ping",
          "-c1",
          "-W1",
          web.endpoints[0]?.address ?? "",
        ]).success,
      "the containers reach each other",
    );
    expect(inside(db, "ip", "-o", "-4", "addr", "show", "eth1")).toContain(db.endpoints[1]?.address ?? "?");
    expect((await lookup(db, "web"))?.records).toEqual([web.endpoints[0]?.address ?? ""]);
  }, 20_000);

  test("of the machine: bridges and rules are there again before the first container", async () => {
    const before = engine();
    const back = await before.create({ name: "back", pools });
    await before.connect({ containerId: "web", network: "back", ports: [tcp(80, 0)] });
    await before.close();
    run("nft", "delete", "table", "inet", `slipway_${before.bridge}`);
    run("ip", "link", "delete", back.bridge ?? "");
    run("umount", join(before.execRoot, "netns", "web"));
    const after = next(before);
    await after.reconcile(new Set());
    expect(after.sandbox("web")).toBeUndefined();
    expect(links()).toContain(`${back.bridge}:`);
    expect(table(after)).toContain(back.bridge ?? "?");
    const web = await after.connect({ containerId: "web", network: "back", ports: [] });
    expect(web.endpoints[0]?.address).toStartWith((back.subnet ?? "").split(".").slice(0, 2).join("."));
  });

  test("a network whose block the host uses otherwise by now is reported, the others work", async () => {
    const before = engine();
    const lost = await before.create({ name: "lost", pools });
    await before.create({ name: "fine" });
    await before.close();
    run("ip", "link", "delete", lost.bridge ?? "");
    const dummy = `swd${process.pid % 100000}`;
    run("ip", "link", "add", dummy, "type", "bridge");
    machine().scope.defer(() => {
      Bun.spawnSync(["ip", "link", "delete", dummy]);
    });
    run("ip", "addr", "add", `10.215.${process.pid % 250}.9/24`, "dev", dummy);
    run("ip", "link", "set", dummy, "up");
    const after = next(before);
    await after.reconcile(new Set());
    expect(machine().log.join("\n")).toContain("a network could not be made again");
    await after.connect({ containerId: "web", network: "fine", ports: [] });
    await expect(after.connect({ containerId: "x", network: "lost", ports: [] })).rejects.toThrow(dummy);
    expect((await after.remove("lost")).name).toBe("lost");
  });

  test("a process killed at any moment leaves what reconciling makes whole: running containers work, nothing else is left", async () => {
    const bridge = `swv${process.pid % 100000}`;
    const path = join(machine().dir, "crash.db");
    const execRoot = join(machine().dir, "crash");
    const script = `
      import { Database } from "bun:sqlite";
      import { networkMigrations, openNetworks } from ${JSON.stringify(join(import.meta.dir, "index.ts"))};
      const database = new Database(${JSON.stringify(path)});
      database.run("PRAGMA journal_mode = WAL");
      if (database.query("SELECT name FROM sqlite_master").all().length === 0) for (const step of networkMigrations.steps) database.run(step);
      const networks = openNetworks({ database, execRoot: ${JSON.stringify(execRoot)}, bridge: "${bridge}", linger: 0, nameservers: () => [] });
      await networks.reconcile(new Set(["keep"]));
      for (const name of ["base", "second"]) if (networks.find(name) === undefined) await networks.create({ name });
      const ports = [{ protocol: "tcp", containerPort: 80, hostPort: 0, hostAddress: "0.0.0.0" }];
      if (networks.sandbox("keep") === undefined) await networks.connect({ containerId: "keep", network: "base", ports, names: ["keep"] });
      console.log("ready");
      for (let round = 0; ; round++) {
        const name = "n" + round + "-" + process.pid;
        await Promise.all([
          networks.create({ name }).then(() => networks.remove(name)),
          networks.connectEndpoint({ containerId: "keep", network: "second", ports: [], gatewayPriority: round % 2 * 2 - 1 }).then(() => networks.disconnectEndpoint("keep", "second")),
          networks.connect({ containerId: "x" + round, network: "second", ports, names: ["x"] }).then(() => networks.release("x" + round)),
        ]);
      }`;
    const port = { value: 0 };
    for (let round = 0; round < 14; round++) {
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
      const started = await child.stdout.getReader().read();
      if (started.done) throw new Error(await new Response(child.stderr).text());
      // Any moment will do: the rounds differ on purpose.
      await Bun.sleep(2 + round * 9);
      child.kill("SIGKILL");
      await child.exited;
      const database = new Database(path);
      const rows = database
        .query<{ host_port: number }, []>(
          "SELECT host_port FROM network_ports JOIN network_endpoints ON id = endpoint_id WHERE container_id = 'keep'",
        )
        .all();
      if (port.value === 0) port.value = rows[0]?.host_port ?? 0;
      expect(rows).toEqual([{ host_port: port.value }]);
      database.close();
    }
    const database = new Database(path);
    machine().scope.defer(() => database.close());
    const networks = engine({ bridge, database, execRoot, nameservers: () => [] });
    await networks.reconcile(new Set(["keep"]));
    const kept = networks.sandbox("keep");
    if (kept === undefined) throw new Error("lost");
    // The moment may have been one in which the second endpoint was whole: then it works, and is not half there.
    const shown = inside(kept, "ip", "-o", "-4", "addr");
    for (const { interface: name, address } of kept.endpoints)
      expect(shown).toMatch(new RegExp(`${name} +inet ${address}/`));
    if (kept.endpoints.length > 1) await networks.disconnectEndpoint("keep", "second");
    expect(inside(kept, "ip", "-o", "link").trim().split("\n").length).toBe(2);
    expect(inside(kept, "ip", "route")).toContain(`default via ${kept.endpoints[0]?.gateway} dev eth0`);
    expect((await lookup(kept, "keep"))?.records).toEqual([kept.endpoints[0]?.address ?? ""]);
    await serve(kept, "kept");
    expect(await fetchText(`http://127.0.0.1:${port.value}/`)).toBe("kept");
    const own = database.query<{ id: string }, []>("SELECT id FROM network_owner").get()?.id ?? "?";
    const count = (): number =>
      links()
        .split("\n")
        .filter((line) => line.includes(own)).length;
    expect(count()).toBe(networks.list().length - 3);
    expect(readdirSync(join(execRoot, "netns"))).toEqual(["keep"]);
    expect(mounts().filter((each) => each.target.startsWith(execRoot)).length).toBe(1);
    await networks.reconcile(new Set());
    await networks.prune();
    expect(count()).toBe(0);
    expect(database.query("SELECT * FROM network_sandboxes").all()).toEqual([]);
    expect(run("nft", "list", "tables")).not.toContain(bridge);
  }, 60_000);
});
