import { parseDuration } from "@slipway/base";
import type { Healthcheck } from "@slipway/oci";
import type { HealthcheckInstruction } from "./instructions.ts";
import { commandLine, common, flagsOf, problem, type Statement } from "./statement.ts";

const MILLISECOND = 1_000_000;

export function parseHealthcheck(statement: Statement): HealthcheckInstruction {
  const [, word = "", rest = ""] = /^(\S*)\s*([\s\S]*)$/.exec(statement.rest) ?? [];
  if (word === "") {
    throw problem("HEALTHCHECK requires at least one argument", {
      hint: "Write HEALTHCHECK CMD ... or HEALTHCHECK NONE.",
    });
  }
  const base = { kind: "healthcheck", ...common(statement) } as const;
  switch (word.toUpperCase()) {
    case "NONE":
      if (rest !== "") throw problem("HEALTHCHECK NONE takes no arguments", { needle: rest });
      return { ...base, check: { Test: ["NONE"] } };
    case "CMD":
      return { ...base, check: healthcheck({ ...statement, rest }) };
    default:
      throw problem(`unknown type '${word}' in HEALTHCHECK (try CMD)`, { needle: word });
  }
}

function healthcheck(statement: Statement): Healthcheck {
  const command = commandLine(statement);
  if (command.form === "exec" && command.args.length === 0) {
    throw problem("missing command after HEALTHCHECK CMD", { needle: "CMD" });
  }
  const flags = flagsOf(statement, {
    interval: "text",
    timeout: "text",
    "start-period": "text",
    "start-interval": "text",
    retries: "text",
  });
  const times = {
    Interval: duration(flags.text("interval"), "interval"),
    Timeout: duration(flags.text("timeout"), "timeout"),
    StartPeriod: duration(flags.text("start-period"), "start-period"),
    StartInterval: duration(flags.text("start-interval"), "start-interval"),
    Retries: retries(flags.text("retries")),
  };
  const given = Object.fromEntries(Object.entries(times).filter(([, value]) => value !== undefined));
  return {
    Test: command.form === "exec" ? ["CMD", ...command.args] : ["CMD-SHELL", command.line],
    ...(given as Partial<Record<keyof typeof times, number>>),
  };
}

/** Nanoseconds; 0 and absent mean the default. */
function duration(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = parseDuration(text);
  if (value === 0) return undefined;
  if (value < MILLISECOND) {
    throw problem(`${name} "${text}" cannot be less than 1ms`, { needle: text, hint: "Write a duration like 30s." });
  }
  return value;
}

function retries(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}$/.test(text)) {
    throw problem(`--retries needs a number, not '${text}'`, { needle: `--retries=${text}` });
  }
  if (text.startsWith("-")) throw problem(`--retries cannot be negative (${text})`, { needle: `--retries=${text}` });
  return Number(text) || undefined;
}
