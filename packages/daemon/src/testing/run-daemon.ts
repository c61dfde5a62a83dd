import { describeError } from "@slipway/base";
import { runDaemon } from "../daemon.ts";

/** The daemon without the command line around it, for tests: `bun run-daemon.ts daemon --data-root=/x --host=unix:///y`. */
const flags: Record<string, string | string[]> = {};
for (const word of process.argv.slice(3)) {
  const [, name = "", value = ""] = /^--([a-z-]+)=(.*)$/.exec(word) ?? [];
  const key = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (key === "host") flags.hosts = [...(flags.hosts ?? []), value];
  else flags[key] = value;
}

runDaemon(flags).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(describeError(error));
    process.exit(1);
  },
);
