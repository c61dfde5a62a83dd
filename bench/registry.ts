/**
 * Our registry beside Debian's docker-registry, in turn on the same machine: `bun bench/registry.ts [--rounds 3] [--seconds 3]
 * [--manifests 10000] [--folder /tmp]`. It needs Go for the load program, docker-registry, and dist/slipway
 * (`bun scripts/compile.ts`). Prints a table; `bench/results.md` keeps the last one.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Sample, summarize } from "./measure.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    manifests: { type: "string", default: "10000" },
    folder: { type: "string", default: tmpdir() },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(flags.rounds);
const REPOSITORY = join(import.meta.dir, "..");
const MB = 1_000_000;
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

interface Registry {
  readonly name: "slipway" | "docker-registry";
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const folder = mkdtempSync(join(flags.folder, "slipway-bench-registry-"));
const load = join(folder, "registry-load");

async function main(): Promise<void> {
  const built = spawnSync("go", ["build", "-o", load, "."], {
    cwd: join(import.meta.dir, "registry-load"),
    encoding: "utf8",
  });
  if (built.status !== 0) throw new Error(`go build: ${built.stderr}`);
  const registries = [await startOurs("ours", 5810), await startTheirs(5811)];
  try {
    const lines = [
      "| scenario | Slipway | docker-registry 2.8 | ratio | goal | reached |",
      "|---|---|---|---|---|---|",
    ];
    for (const scenario of scenarios()) {
      if (!scenario.name.includes(flags.only)) continue;
      const line = await measure(scenario, registries);
      console.log(line);
      lines.push(line);
    }
    console.log(await memoryLine(registries));
    if ("collection".includes(flags.only) || flags.only === "") console.log(await collectionLine());
    writeFileSync(join(folder, "table.md"), lines.join("\n"));
  } finally {
    for (const registry of registries) await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Scenario {
  readonly name: string;
  readonly unit: string;
  /** Ours against theirs, at least; for times the reverse. */
  readonly goal: number;
  readonly higherIsBetter: boolean;
  prepare?(registry: Registry): Promise<string>;
  run(registry: Registry, prepared: string): Promise<number>;
}

function scenarios(): Scenario[] {
  const { seconds } = flags;
  const blob = async (registry: Registry) =>
    `${registry.url}/v2/bench/blob/blobs/${await pushBlob(registry.url, 100 * MB)}`;
  const gets = [1, 10, 50].map(
    (clients): Scenario => ({
      name: `GET of a 100 MB blob, ${clients} client${clients > 1 ? "s" : ""}`,
      unit: "MB/s",
      goal: 1,
      higherIsBetter: true,
      prepare: blob,
      run: async (_, url) => (await run("get", url, String(clients), seconds)).perSecond / MB,
    }),
  );
  const requests = (["GET", "HEAD"] as const).flatMap((method) =>
    ["tag", "digest"].map(
      (by): Scenario => ({
        name: `${method} of a manifest by ${by}, 10 clients`,
        unit: "/s",
        goal: 2,
        higherIsBetter: true,
        prepare: async (registry) => await pushImage(registry.url, by),
        run: async (_, url) => (await run("request", method, url, "10", seconds)).perSecond,
      }),
    ),
  );
  const uploads = [
    { size: 1, count: 60, clients: 1 },
    { size: 1, count: 100, clients: 10 },
    { size: 10, count: 20, clients: 1 },
    { size: 100, count: 4, clients: 1 },
    { size: 100, count: 8, clients: 4 },
  ].map(
    ({ size, count, clients }): Scenario => ({
      name: `${count} uploads of ${size} MB, ${clients} client${clients > 1 ? "s" : ""}`,
      unit: "s",
      goal: 1,
      higherIsBetter: false,
      run: async (registry) =>
        (await run("upload", registry.url, String(size * MB), String(count), String(clients))).seconds,
    }),
  );
  return [...gets, ...requests, ...uploads];
}

/** One row: both in turn, after a warm-up that does not count. */
async function measure(scenario: Scenario, registries: readonly Registry[]): Promise<string> {
  const prepared = await Promise.all(registries.map(async (registry) => (await scenario.prepare?.(registry)) ?? ""));
  const values: number[][] = registries.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [at, registry] of registries.entries()) {
      const value = await scenario.run(registry, prepared[at] ?? "");
      if (round >= 0) values[at]?.push(value);
    }
  }
  const [ours, theirs] = values.map(summarize) as [Sample, Sample];
  const ratio = scenario.higherIsBetter ? ours.median / theirs.median : theirs.median / ours.median;
  const show = (sample: Sample) => {
    const digits = sample.median < 10 ? 2 : 0;
    return `${sample.median.toFixed(digits)} ${scenario.unit} (${sample.min.toFixed(digits)} - ${sample.max.toFixed(digits)})`;
  };
  return `| ${scenario.name} | ${show(ours)} | ${show(theirs)} | ${ratio.toFixed(2)} times | ${scenario.goal} | ${ratio >= scenario.goal ? "yes" : "no"} |`;
}

async function memoryLine(registries: readonly Registry[]): Promise<string> {
  const cells = registries.map(({ pid }) => {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    const kib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0);
    return `${(kib("VmHWM") / 1024).toFixed(0)} MiB at most, ${(kib("VmRSS") / 1024).toFixed(0)} MiB now`;
  });
  return `| memory (RSS) over all of this | ${cells.join(" | ")} | | bounded | |`;
}

/** Pushes with and without collections beside them, one a second, over a repository of many manifests. */
async function collectionLine(): Promise<string> {
  const values: Record<"quiet" | "busy", number[]> = { quiet: [], busy: [] };
  const first = await startOurs("collect", 5812);
  await run("fill", first.url, "bench/fill", flags.manifests);
  await first.stop();
  for (let round = -1; round < rounds; round++) {
    for (const kind of ["quiet", "busy"] as const) {
      const every = kind === "quiet" ? "0s" : "1s";
      const registry = await startOurs("collect", 5812, ["--collect-every", every, "--grace", "1s"]);
      const { p99 } = await run("push", registry.url, "bench/push", "10", "4");
      if (round >= 0) values[kind].push(p99);
      await registry.stop();
    }
  }
  const [without, beside] = [summarize(values.quiet), summarize(values.busy)];
  const ratio = beside.median / without.median;
  return `| 99th percentile of a push, a collection over ${flags.manifests} manifests each second | ${beside.median.toFixed(1)} ms | without: ${without.median.toFixed(1)} ms | ${ratio.toFixed(2)} | 1.3 | ${ratio <= 1.3 ? "yes" : "no"} |`;
}

function slipway(): string {
  return join(REPOSITORY, "dist/slipway");
}

async function startOurs(name: string, port: number, more: readonly string[] = []): Promise<Registry> {
  const child = Bun.spawn(
    [slipway(), "registry", "serve", "--listen", `127.0.0.1:${port}`, "--storage", join(folder, name), ...more],
    { stdout: "ignore", stderr: "ignore" },
  );
  return await started("slipway", port, child);
}

async function startTheirs(port: number): Promise<Registry> {
  const root = join(folder, "theirs");
  mkdirSync(root);
  const config = join(folder, "theirs.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${root}}, cache: {blobdescriptor: inmemory}}\nhttp: {addr: 127.0.0.1:${port}}\n`,
  );
  return await started(
    "docker-registry",
    port,
    Bun.spawn(["docker-registry", "serve", config], { stdout: "ignore", stderr: "ignore" }),
  );
}

async function started(name: Registry["name"], port: number, child: Bun.Subprocess): Promise<Registry> {
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(`${url}/v2/`).catch(() => undefined);
    if (answer?.ok) break;
    if (attempt > 200 || child.exitCode !== null) throw new Error(`${name} does not start`);
    await Bun.sleep(25);
  }
  return {
    name,
    url,
    pid: child.pid,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function run(
  ...args: string[]
): Promise<Record<string, number> & { perSecond: number; seconds: number; p99: number }> {
  const child = Bun.spawn([load, ...args], { stdout: "pipe", stderr: "pipe" });
  const [text, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`${args.join(" ")}: ${errors}`);
  return JSON.parse(text);
}

async function pushBlob(url: string, size: number): Promise<string> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const begun = await fetch(`${url}/v2/bench/blob/blobs/uploads/`, { method: "POST" });
  const location = new URL(begun.headers.get("location") ?? "", url);
  location.searchParams.set("digest", digest);
  const put = await fetch(location, { method: "PUT", body: bytes });
  if (put.status !== 201) throw new Error(`push of a blob: ${put.status} ${await put.text()}`);
  return digest;
}

async function pushImage(url: string, by: string): Promise<string> {
  const digests = [await pushBlob(url, 500), await pushBlob(url, 5000), await pushBlob(url, 5000)];
  const [config, ...layers] = digests.map((digest, at) => ({
    mediaType: `application/vnd.oci.image.${at === 0 ? "config.v1+json" : "layer.v1.tar"}`,
    digest,
    size: at === 0 ? 500 : 5000,
  }));
  const body = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers });
  const put = await fetch(`${url}/v2/bench/blob/manifests/latest`, {
    method: "PUT",
    body,
    headers: { "Content-Type": MANIFEST_TYPE },
  });
  if (put.status !== 201) throw new Error(`push of a manifest: ${put.status} ${await put.text()}`);
  const reference = by === "tag" ? "latest" : put.headers.get("docker-content-digest");
  return `${url}/v2/bench/blob/manifests/${reference}`;
}

await main();
