import { readFileSync } from "node:fs";

/** What went through a network interface since it was made. */
export interface InterfaceStats {
  readonly name: string;
  readonly received: InterfaceCounts;
  readonly sent: InterfaceCounts;
}

export interface InterfaceCounts {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

/** The interfaces that a process sees, but loopback; none when it has ended. */
export function interfacesOf(pid: number): InterfaceStats[] {
  try {
    return parseInterfaces(readFileSync(`/proc/${pid}/net/dev`, "latin1"));
  } catch {
    return [];
  }
}

/** Lines of /proc/net/dev after the two of headings: `eth0: ` and eight counts received, then eight sent. */
export function parseInterfaces(text: string): InterfaceStats[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    const [, name, rest = ""] = match ?? [];
    if (name === undefined || name === "lo") return [];
    const numbers = rest.trim().split(/\s+/).map(Number);
    return [{ name, received: counts(numbers.slice(0, 8)), sent: counts(numbers.slice(8)) }];
  });
}

function counts([bytes = 0, packets = 0, errors = 0, dropped = 0]: readonly number[]): InterfaceCounts {
  return { bytes, packets, errors, dropped };
}
