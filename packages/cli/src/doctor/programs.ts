import { type Finding, fail, ok, warn } from "./finding.ts";
import type { Machine } from "./machine.ts";

const RUNTIMES = ["runc", "crun"];

export async function checkRuntime(machine: Machine): Promise<Finding[]> {
  const path = RUNTIMES.map((name) => machine.find(name)).find((found) => found !== undefined);
  if (path === undefined) {
    return [fail("runtime", "neither runc nor crun is installed", "apt-get install runc, or dnf install runc")];
  }
  const { code, stdout, stderr } = await machine.run([path, "--version"]);
  if (code !== 0) return [fail("runtime", `${path} does not run: ${stderr}`, "Install it anew.")];
  return [ok("runtime", `${path}, ${stdout.split("\n")[0] ?? ""}`)];
}

export async function checkFirewall(machine: Machine, isRoot: boolean): Promise<Finding[]> {
  if (machine.find("nft") === undefined) {
    return [fail("nftables", "the program nft is not installed", "apt-get install nftables, or dnf install nftables")];
  }
  const findings: Finding[] = [];
  if (isRoot) {
    const listed = await machine.run(["nft", "list", "tables"]);
    findings.push(
      listed.code === 0
        ? ok("nftables", "the kernel's tables can be read")
        : fail("nftables", listed.stderr, "Load it: modprobe nf_tables"),
    );
    findings.push(...(await droppedForwarding(machine)));
  }
  const forwarding = machine.read("/proc/sys/net/ipv4/ip_forward");
  // The engine turns it on with its first network; something that turns it off again is worth to know.
  findings.push(
    forwarding === "0"
      ? warn("forwarding", "packets are not forwarded now", "The engine turns it on: net.ipv4.ip_forward=1")
      : ok("forwarding", "on"),
  );
  return findings;
}

/** Another program's chain that drops what is forwarded cannot be overruled: every hook has to agree. */
async function droppedForwarding(machine: Machine): Promise<Finding[]> {
  const { stdout } = await machine.run(["nft", "list", "chains"]);
  const drops = /hook forward priority [^;]*; policy drop;/.test(stdout);
  if (!drops) return [];
  const known = stdout.includes("chain DOCKER-USER");
  return known
    ? [ok("other firewall", "Docker drops forwarded packets; its chain DOCKER-USER lets ours pass")]
    : [
        warn(
          "other firewall",
          "a chain of another program drops forwarded packets by default: containers may not reach beyond this machine",
          "Accept the bridge's traffic there: iptables -I FORWARD -i slipway0 -j ACCEPT; iptables -I FORWARD -o slipway0 -j ACCEPT",
        ),
      ];
}

export async function checkBuildHelpers(machine: Machine): Promise<Finding[]> {
  return machine.find("git") === undefined
    ? [warn("git", "not installed: builds cannot use git contexts", "apt-get install git")]
    : [];
}
