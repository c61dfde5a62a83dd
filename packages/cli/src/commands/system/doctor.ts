import { examine } from "../../doctor/examine.ts";
import type { Finding } from "../../doctor/finding.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Output } from "../../io.ts";
import { paint } from "../../output/colour.ts";

export const doctor = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    json: flag.bool("Print each finding as a line of JSON"),
    quiet: flag.bool("Print only what needs repair", { short: "q" }),
  },
  examples: [["sudo slipway doctor", "Look at kernel, cgroups, runtime, firewall, DNS, disk, clock and engine"]],
  async run({ flags, session }) {
    const { stdout, env } = session.io;
    const findings = await examine(session);
    const shown = flags.quiet ? findings.filter(({ level }) => level !== "ok") : findings;
    if (flags.json) stdout.write(shown.map((finding) => `${JSON.stringify(finding)}\n`).join(""));
    else stdout.write(report(shown, findings, (text, level) => colour(stdout, env, text, level)));
    return findings.some(({ level }) => level === "fail") ? 1 : 0;
  },
});

type Level = Finding["level"];

const MARKS: Readonly<Record<Level, string>> = { ok: "ok  ", warn: "warn", fail: "FAIL" };
const COLOURS = { ok: "green", warn: "yellow", fail: "red" } as const;

function colour(output: Output, env: Readonly<Record<string, string | undefined>>, text: string, level: Level): string {
  return paint(output, env, COLOURS[level], text);
}

function report(
  shown: readonly Finding[],
  all: readonly Finding[],
  mark: (text: string, level: Level) => string,
): string {
  const width = Math.max(...all.map(({ subject }) => subject.length));
  const lines = shown.flatMap(({ subject, level, says, repair }) => [
    `${mark(MARKS[level], level)}  ${subject.padEnd(width)}  ${says}`,
    ...(repair === undefined ? [] : [`${" ".repeat(width + 8)}→ ${repair}`]),
  ]);
  const count = (level: Level) => all.filter((finding) => finding.level === level).length;
  const [failures, warnings] = [count("fail"), count("warn")];
  const verdict =
    failures > 0
      ? `${failures} of ${all.length} need repair.`
      : warnings > 0
        ? `Everything needed is there; ${warnings} could be better.`
        : "Everything is there.";
  return `${lines.map((line) => `${line}\n`).join("")}${verdict}\n`;
}
