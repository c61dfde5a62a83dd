import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNetworkNamespace, unmountBelow } from "@slipway/sys";

/** Runs in a network namespace of its own, as a machine where Docker has set FORWARD to DROP. Prints what it saw. */
async function machineWithDocker(): Promise<void> {
  const { networkMigrations, openNetworks } = await import("../index.ts");
  const dir = process.env.SLIPWAY_TEST_DIR ?? "";
  const run = (command: string): string => {
    const done = Bun.spawnSync(["sh", "-c", command], { stderr: "inherit" });
    return done.success ? done.stdout.toString().trim() : `failed: ${command}`;
  };
  for (const rule of ["-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-A FORWARD -j DOCKER-USER", "-P FORWARD DROP"]) {
    run(`iptables ${rule}`);
  }
  const outside = join(dir, "outside");
  createNetworkNamespace(outside);
  run(`ip link add wire type veth peer name wire netns ${outside}`);
  run("ip addr add 198.51.100.1/24 dev wire; ip link set wire up");
  run(`nsenter --net=${outside} sh -c 'ip addr add 198.51.100.2/24 dev wire; ip link set wire up'`);
  const database = new Database(":memory:");
  for (const step of networkMigrations.steps) database.run(step);
  const networks = openNetworks({ database, execRoot: dir, bridge: "swfw0", linger: 0 });
  const sandbox = await networks.connect({ containerId: "c", network: "bridge", ports: [] });
  for (let attempt = 0; attempt < 100 && !run("iptables -S DOCKER-USER").includes("-o swfw0"); attempt++)
    await Bun.sleep(20);
  const ping = run(
    `nsenter --net=${sandbox.namespacePath} busybox ping -c1 -W2 198.51.100.2 >/dev/null && echo reached`,
  );
  const during = run("iptables -S DOCKER-USER").split("\n").length;
  await networks.release("c");
  await networks.close();
  console.log(JSON.stringify({ ping, during, after: run("iptables -S DOCKER-USER").split("\n") }));
}

if (process.env.SLIPWAY_TEST_DIR !== undefined) {
  await machineWithDocker();
  process.exit(0);
}

test.skipIf(Bun.which("iptables") === null)(
  "beside Docker, whose FORWARD policy drops, containers get out, and our exceptions go with us",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "slipway-fw-"));
    try {
      const done = Bun.spawnSync(["unshare", "--net", "--mount", process.execPath, import.meta.path], {
        env: { ...process.env, SLIPWAY_TEST_DIR: dir },
      });
      const seen = JSON.parse(done.stdout.toString().trim().split("\n").at(-1) ?? "{}");
      expect(seen).toEqual({ ping: "reached", during: 4, after: ["-N DOCKER-USER", "-A DOCKER-USER -j RETURN"] });
    } finally {
      unmountBelow(dir);
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
