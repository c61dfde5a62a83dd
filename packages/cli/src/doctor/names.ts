import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import { type Finding, fail, ok, warn } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** Milliseconds that a server has to answer. */
const PATIENCE = 2000;

/** A question for the name servers of the root: every resolver knows the answer (RFC 1035, section 4.1). */
const QUESTION = Buffer.from("51ab01000001000000000000" + "0000020001", "hex");

/** Asks each name server of the host: containers ask the same ones, through the engine. */
export async function checkNames(machine: Machine): Promise<Finding[]> {
  const servers = [...(machine.read("/etc/resolv.conf") ?? "").matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
    ([, address = ""]) => address,
  );
  if (servers.length === 0) {
    return [fail("DNS", "/etc/resolv.conf names no server", "Add a line: nameserver ADDRESS")];
  }
  return await Promise.all(servers.map(checkServer));
}

async function checkServer(address: string): Promise<Finding> {
  const subject = `DNS ${address}`;
  const host = address.split("%")[0] ?? "";
  if (isIP(host) === 0) return warn(subject, "is not an address", "Correct the line of /etc/resolv.conf.");
  const began = performance.now();
  const answered = await answers(address, isIP(host) === 6 ? "udp6" : "udp4");
  if (answered) return ok(subject, `answers within ${Math.ceil(performance.now() - began)} ms`);
  return warn(subject, `does not answer within ${PATIENCE} ms`, "Correct /etc/resolv.conf, or check the network.");
}

async function answers(address: string, type: "udp4" | "udp6"): Promise<boolean> {
  const socket = createSocket(type);
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), PATIENCE);
      const settle = (result: boolean) => {
        clearTimeout(timer);
        resolve(result);
      };
      socket.once("message", (message) => settle(message.subarray(0, 2).equals(QUESTION.subarray(0, 2))));
      socket.once("error", () => settle(false));
      socket.send(QUESTION, 53, address, (error) => error && settle(false));
    });
  } finally {
    socket.close();
  }
}
