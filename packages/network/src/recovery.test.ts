import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createNetworkNamespace, mounts, removeNetworkNamespace } from "@slipway/sys";
import { engine, fetchText, inside, links, run, serve, tcp, useMachine } from "./network-fixture.ts";

const machine = useMachine();

describe("after a crash", () => {
  test("what runs keeps its network, what does not is removed, with files and interfaces that nobody knows", async () => {
    const before = engine();
    const { execRoot } = before;
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
    run("nft", "delete", "table", "inet", `slipway_${networks.bridge}`);
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("still here");
    await networks.reconcile(new Set(["web"]));
    expect(run("nft", "list", "table", "inet", `slipway_${networks.bridge}`)).toContain(
      `tcp . ${port} : ${web.endpoints[0]?.address} . 80`,
    );
    run("nft", "delete", "table", "inet", `slipway_${networks.bridge}`);
    await networks.connect({ containerId: "next", network: "bridge", ports: [] });
    expect(run("nft", "list", "table", "inet", `slipway_${networks.bridge}`)).toContain(`tcp . ${port} :`);
  });

  test("a deleted bridge comes back with its containers on it", async () => {
    // Another engine of this machine may choose our addresses while the bridge is away.
    const networks = engine({ bip: "10.214.9.1/24" });
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    run("ip", "link", "delete", networks.bridge);
    const two = await networks.connect({ containerId: "two", network: "bridge", ports: [] });
    inside(one, "busybox", "ping", "-c1", "-W2", two.endpoints[0]?.address ?? "");
  });

  test("a reboot, which leaves rows and plain files, ends in nothing", async () => {
    const before = engine();
    const { execRoot } = before;
    const one = await before.connect({ containerId: "one", network: "bridge", ports: [] });
    removeNetworkNamespace(one.namespacePath);
    writeFileSync(one.namespacePath, "");
    const after = engine({ bridge: before.bridge, database: before.database, execRoot });
    await after.reconcile(new Set(["one"]));
    expect(after.sandbox("one")).toBeUndefined();
    expect(machine().log.join("\n")).toContain("lost its network");
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

  test("a process killed at any moment leaves nothing that reconciling does not find", async () => {
    const bridge = `swk${process.pid % 100000}`;
    const path = join(machine().dir, "crash.db");
    const execRoot = join(machine().dir, "crash");
    const script = `
      import { Database } from "bun:sqlite";
      import { networkMigrations, openNetworks } from ${JSON.stringify(join(import.meta.dir, "index.ts"))};
      const database = new Database(${JSON.stringify(path)});
      database.run("PRAGMA journal_mode = WAL");
      if (database.query("SELECT name FROM sqlite_master").all().length === 0) for (const step of networkMigrations.steps) database.run(step);
      const networks = openNetworks({ database, execRoot: ${JSON.stringify(execRoot)}, bridge: "${bridge}", linger: 0 });
      await networks.reconcile(new Set());
      console.log("ready");
      const ports = [{ protocol: "tcp", containerPort: 80, hostPort: 0, hostAddress: "0.0.0.0" }];
      for (let round = 0; ; round++) {
        const ids = [0, 1, 2].map((each) => round + "x" + each);
        await Promise.all(ids.map((containerId) => networks.connect({ containerId, network: "bridge", ports })));
        await Promise.all(ids.map((containerId) => networks.release(containerId)));
        if (round % 3 === 0) await Bun.sleep(40);
      }`;
    for (let round = 0; round < 12; round++) {
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
      await child.stdout.getReader().read();
      // Any moment will do: the rounds differ on purpose.
      await Bun.sleep(3 + round * 7);
      child.kill("SIGKILL");
      await child.exited;
    }
    const database = new Database(path);
    machine().scope.defer(() => database.close());
    const networks = engine({ bridge, database, execRoot });
    await networks.reconcile(new Set());
    expect(database.query("SELECT * FROM network_sandboxes").all()).toEqual([]);
    expect(database.query("SELECT * FROM network_ports").all()).toEqual([]);
    expect(readdirSync(join(execRoot, "netns"))).toEqual([]);
    expect(mounts().filter((each) => each.target.startsWith(execRoot))).toEqual([]);
    expect(links()).not.toContain(bridge);
    expect(run("nft", "list", "tables")).not.toContain(bridge);
  }, 30_000);
});
