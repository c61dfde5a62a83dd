import { type Finding, ok, warn } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** No clock of a running machine shows an earlier day: milliseconds since the epoch. */
const EARLIEST = Date.UTC(2025, 0, 1);
const STEADY = "Start a time service: systemctl enable --now systemd-timesyncd, or chronyd";

/** A wrong clock makes certificates, tokens and signatures invalid, and package mirrors "not valid yet". */
export function checkClock(machine: Machine, now = Date.now()): Finding {
  const shown = new Date(now).toISOString().slice(0, 16).replace("T", " ");
  if (now < EARLIEST) return warn("clock", `${shown} UTC is in the past`, `Set it: date -s ...; ${STEADY}`);
  const service = ["/run/systemd/timesync/synchronized", "/run/chrony", "/run/ntpd.pid", "/run/openntpd"].find((path) =>
    machine.has(path),
  );
  const source = machine.read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  // Virtual machines take the time from their host by a paravirtual clock.
  if (service !== undefined || source === "kvm-clock" || source === "hyperv_clocksource_tsc_page") {
    return ok("clock", `${shown} UTC`);
  }
  return warn("clock", `${shown} UTC, and no time service seems to keep it right`, STEADY);
}
