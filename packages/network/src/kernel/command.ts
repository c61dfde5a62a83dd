import { SlipwayError } from "@slipway/base";

/** A program of the host, fed with text; its output. Throws `unavailable` if it is missing or fails. */
export async function runCommand(command: readonly [string, ...string[]], input = ""): Promise<string> {
  const [program] = command;
  const path = Bun.which(program, { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin` });
  if (path === null) {
    const packages: Readonly<Record<string, string>> = { nft: "nftables", ip: "iproute2" };
    throw new SlipwayError("unavailable", `${program} is not installed`, {
      hint: `apt-get install ${packages[program] ?? program}`,
    });
  }
  const child = Bun.spawn([path, ...command.slice(1)], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return output;
  throw new SlipwayError("unavailable", `${program} failed: ${firstLines(errors) || `exit code ${code}`}`, {
    details: { exitCode: code },
  });
}

function firstLines(text: string): string {
  return text.trim().split("\n").slice(0, 4).join("; ").slice(0, 600);
}
