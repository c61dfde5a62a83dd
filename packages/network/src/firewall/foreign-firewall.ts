import { existsSync } from "node:fs";
import { errorMessage, type Logger } from "@slipway/base";
import { runCommand } from "../kernel/command.ts";

/**
 * Another program's chain can drop what we forward, and no rule of ours can overrule it: in nftables every hook has to
 * agree. Docker sets iptables' FORWARD policy to DROP, and leaves the chain DOCKER-USER to others: there, and nowhere
 * else, we say that our bridge's traffic is meant to be. For any other program's drop there is only a warning.
 */
export async function passForeignFirewalls(bridge: string, logger: Logger): Promise<boolean> {
  try {
    if (!(await iptablesDropsForwarded())) return false;
    const rules = await runCommand(["iptables", "-w", "-S"]);
    if (!/^-N DOCKER-USER$/m.test(rules)) {
      logger.warn("iptables' FORWARD chain drops by default: containers will not reach beyond this host", {
        hint: `iptables -I FORWARD -i ${bridge} -j ACCEPT; iptables -I FORWARD -o ${bridge} -j ACCEPT`,
      });
      return false;
    }
    for (const rule of exceptions(bridge)) {
      if (!rules.includes(`-A DOCKER-USER ${rule.slice(0, 2).join(" ")} `)) {
        await runCommand(["iptables", "-w", "-I", "DOCKER-USER", ...rule]);
      }
    }
    return true;
  } catch (error) {
    logger.warn("could not see whether another firewall is in the way", { error: errorMessage(error) });
    return false;
  }
}

/** Takes the exceptions back; what is gone already is as good. */
export async function leaveForeignFirewalls(bridge: string): Promise<void> {
  if (Bun.which("iptables") === null) return;
  const rules = await runCommand(["nft", "list", "chain", "ip", "filter", "DOCKER-USER"]).catch(() => "");
  if (!rules.includes(`"${bridge}"`)) return;
  for (const rule of exceptions(bridge)) {
    await runCommand(["iptables", "-w", "-D", "DOCKER-USER", ...rule]).catch(() => {});
  }
}

function exceptions(bridge: string): string[][] {
  const tail = ["-m", "comment", "--comment", "slipway", "-j", "ACCEPT"];
  return [
    ["-i", bridge, ...tail],
    ["-o", bridge, ...tail],
  ];
}

/** Looks without touching: listing by iptables itself would make its tables where there are none. */
async function iptablesDropsForwarded(): Promise<boolean> {
  if (Bun.which("iptables") === null) return false;
  if (existsSync("/proc/net/ip_tables_names")) {
    const legacy = await Bun.file("/proc/net/ip_tables_names")
      .text()
      .catch(() => "");
    if (legacy.split("\n").includes("filter")) {
      const policy = await runCommand(["iptables", "-w", "-S", "FORWARD"]);
      if (policy.includes("-P FORWARD DROP")) return true;
    }
  }
  const chains = await runCommand(["nft", "list", "chains", "ip"]);
  const filter = chains.slice(Math.max(0, chains.indexOf("table ip filter {")));
  return chains.includes("table ip filter {") && /hook forward priority [^;]*; policy drop;/.test(filter);
}
