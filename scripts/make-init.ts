/**
 * Makes the init of containers from its C source: `bun scripts/make-init.ts`, with gcc and gcc-aarch64-linux-gnu. Run it
 * after a change of `packages/runtime/src/init/init.c` and commit what it writes.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const ROOM = join(import.meta.dir, "../packages/runtime/src/init");
const FLAGS =
  "-nostdlib -static -Os -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-builtin " +
  "-fno-pie -no-pie -Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s";
const COMPILERS = {
  x64: ["", "-fcf-protection=none"],
  arm64: ["aarch64-linux-gnu-", "-mbranch-protection=none"],
} as const;

const directory = mkdtempSync(join(tmpdir(), "slipway-init-"));
try {
  const programs = Object.entries(COMPILERS).map(([architecture, [prefix, flag]]) => {
    const output = join(directory, architecture);
    execFileSync(`${prefix}gcc`, [...FLAGS.split(" "), flag, "-o", output, join(ROOM, "init.c")], { stdio: "inherit" });
    execFileSync(`${prefix}objcopy`, ["-R", ".comment", output]);
    const lines =
      gzipSync(readFileSync(output), { level: 9 })
        .toString("base64")
        .match(/.{1,116}/g) ?? [];
    return `  ${architecture}: [\n${lines.map((line) => `    "${line}",\n`).join("")}  ].join(""),\n`;
  });
  const header =
    "/** Written by scripts/make-init.ts from init.c: the program for each `process.arch`, gzipped, in base64. */\n";
  writeFileSync(
    join(ROOM, "init-program.ts"),
    `${header}export const INIT_PROGRAMS: Readonly<Record<string, string>> = {\n${programs.join("")}};\n`,
  );
} finally {
  rmSync(directory, { recursive: true });
}
