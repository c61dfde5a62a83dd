import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, type Output, run, SLIPWAY } from "./harness.ts";

/** The notations of `create`, read by Docker's own client (28) and by ours: they must ask one engine for the same container. */
let engine: Engine;
let folder: string;

/** Where they differ, and why. A line that does not differ any more must go from here. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "--expose 80/bogus slipway/base": "a protocol that does not exist is refused before the engine is asked",
  "--disable-content-trust=false slipway/base": "Docker's client wants a Notary server then; that trust is history",
};

beforeAll(async () => {
  engine = await Engine.start();
  await engine.ok("network", "create", "--subnet", "10.96.0.0/24", "front");
  await engine.ok("create", "--name", "other", "slipway/base");
  folder = join(engine.root, "files");
  mkdirSync(join(folder, "sub"), { recursive: true });
  const file = (name: string, text: string | Uint8Array) => writeFileSync(join(folder, name), text);
  file("plain.env", "# a comment\nA=1\nB=\nPASSED\nNOT_SET\n\nC=a b\n");
  file(
    "odd.env",
    '  INDENTED=1\nQUOTED="x y"\nHASH=a # b\nDOLLAR=$HOME $A\nTRAIL=x  \nEQ=a=b\n\t# indented comment\nA=file',
  );
  file("crlf.env", "A=1\r\nB=2\r\n");
  file("bom.env", "\ufeffA=1\n");
  file("space.env", "A B=1\n");
  file("noname.env", "=1\n");
  file("binary.env", Uint8Array.of(65, 61, 0xff, 0xfe, 10));
  file("labels", "A=1\nB\n# c\nC=x y\n");
  file("existing", "");
}, 60_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

const lines = readFileSync(join(import.meta.dir, "cli-differential/create.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

const wordsOf = (line: string) =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");

/** What was asked for: the container's documents without what each container has of its own; or the exit code. */
async function made(program: string, line: string): Promise<unknown> {
  const argv = wordsOf(line).map((word) => word.replace("$F", folder));
  const env = { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: join(engine.root, "none"), PASSED: "on" };
  const output: Output = await run([program, "create", ...argv], { env, cwd: folder });
  if (output.code !== 0) return { code: output.code, stdout: output.stdout };
  const id = output.stdout.trim();
  const [document] = JSON.parse(await engine.ok("inspect", id)) as [
    { Name: string; Config: Record<string, unknown>; HostConfig: object; Mounts: { Name?: string; Source?: string }[] },
  ];
  await engine.ok("rm", "-fv", id);
  const { Config, HostConfig, Mounts } = document;
  if (Config.Hostname === id.slice(0, 12)) delete Config.Hostname;
  const anonymous = /[0-9a-f]{64}/g;
  // A link names both ends, and this one was named at random.
  const ownName = document.Name;
  const own = JSON.stringify({ Config, HostConfig, Mounts }).replace(anonymous, "<id>").replaceAll(ownName, "<name>");
  const view = JSON.parse(own) as { Config: { Env?: string[] }; Mounts: { Destination: string }[] };
  view.Mounts.sort((a, b) => (a.Destination < b.Destination ? -1 : 1));
  // Go's map of the environment has no order.
  view.Config.Env?.sort();
  return full(view);
}

/** Go's client sends what nobody asked for as empty, ours leaves it out: that is the same. */
function full(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(full);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, below]) => [name, full(below)] as const);
  return Object.fromEntries(
    entries.filter(([name, below]) => !isEmpty(below) && !(name === "MemorySwappiness" && below === -1)),
  );
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0 || value.every((element) => element === 0);
  return typeof value === "object" && Object.keys(value).length === 0;
}

for (const line of lines) {
  test(line, async () => {
    const [docker, slipway] = [await made("docker", line), await made(SLIPWAY, line)];
    if (line in EXCEPTIONS) expect(slipway).not.toEqual(docker);
    else expect(slipway).toEqual(docker);
  }, 20_000);
}

test("there are more than two hundred", () => expect(lines.length).toBeGreaterThan(200));
