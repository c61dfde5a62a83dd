import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, type Output, run } from "../harness.ts";
import { tagBase } from "./images.ts";
import { goProgram } from "./tools.ts";

const FILE = `
services:
  store:
    image: alpine:3.20
    command: sh -c 'echo ready > /data/ready; exec nc -ll -p 7000 -e cat /data/ready'
    volumes: ["data:/data"]
    networks:
      back: {aliases: [keeper]}
    stop_signal: KILL
    healthcheck:
      test: ["CMD", "test", "-e", "/data/ready"]
      interval: 200ms
      timeout: 5s
      retries: 20
  worker:
    image: alpine:3.20
    command: sh -c 'trap exit TERM; while :; do nc keeper 7000 </dev/null; sleep 0.2; done'
    networks: [back]
    depends_on: [store]
  web:
    build: {context: web, args: {GREETING: hello}}
    ports: ["80"]
    networks: [back, front]
    stop_signal: KILL
networks:
  back: {internal: true}
  front: {}
volumes:
  data: {}
`;
const DOCKERFILE = `FROM alpine:3.20
ARG GREETING
RUN mkdir /www && echo "$GREETING" > /www/index.html
CMD ["httpd", "-f", "-v", "-p", "80", "-h", "/www"]
`;

let engine: Engine;
let second = "";
beforeAll(async () => {
  second = await goProgram("github.com/docker/compose/v2@v2.40.3", "github.com/docker/compose/v2/cmd");
  engine = await Engine.start();
  await tagBase(engine, "alpine:3.20");
}, 1_200_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

let directory: string;
beforeEach(() => {
  directory = engine.context({ "web/Dockerfile": DOCKERFILE });
});

// Debian's Compose 1.29 talks to the API through docker-py; Compose 2 is the plug-in of today's clients.
describe.each([
  // The old one asks for a version of the file's format.
  {
    name: "docker-compose 1.29",
    program: () => "/usr/bin/docker-compose",
    head: 'version: "3.8"',
    separator: "_",
  },
  { name: "Compose 2", program: () => second, head: "", separator: "-" },
])("$name", ({ program, head, separator }) => {
  const client = (...argv: string[]): Promise<Output> =>
    run([program(), "-p", "shop", ...argv], {
      cwd: directory,
      env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: "0" },
    });
  const ok = async (...argv: string[]): Promise<string> => {
    const output = await client(...argv);
    if (output.code !== 0)
      throw new Error(`${argv.join(" ")} ended with ${output.code}:\n${output.stdout}${output.stderr}`);
    return output.stdout;
  };
  const until = async (condition: () => Promise<boolean>) => {
    while (!(await condition())) await Bun.sleep(50);
  };
  const states = async () => {
    const list = await engine.ok("ps", "-a", "--format", "{{.Names}} {{.State}}");
    return list.split("\n").filter(Boolean).sort();
  };
  const named = (...words: string[]) => words.map((word) => `shop${separator}${word.replace("-", separator)}`);
  const health = () => engine.ok("inspect", "-f", "{{.State.Health.Status}}", ...named("store-1"));

  beforeEach(() => writeFileSync(join(directory, "docker-compose.yml"), head + FILE));
  afterEach(() => client("down", "-v", "--rmi", "local"), 60_000);

  test("goes up with its image built, its network, volume and health check, is scaled, and goes down", async () => {
    await ok("up", "-d");
    expect(await states()).toEqual(named("store-1 running", "web-1 running", "worker-1 running"));
    await until(async () => (await health()) === "healthy");
    expect(await ok("ps")).toContain("(healthy)");
    const address = (await ok("port", "web", "80")).trim();
    expect(await (await fetch(`http://${address}/`)).text()).toBe("hello\n");

    await ok("up", "-d", "--scale", "worker=3");
    expect((await states()).filter((line) => line.includes("worker"))).toEqual(
      named("worker-1 running", "worker-2 running", "worker-3 running"),
    );
    await ok("up", "-d", "--scale", "worker=1");
    expect((await states()).length).toBe(3);

    await ok("down", "-v");
    expect(await states()).toEqual([]);
    expect(await engine.ok("volume", "ls", "-q")).toBe("");
    expect(await engine.ok("network", "ls", "--format", "{{.Name}}")).toBe("bridge\nhost\nnone");
  }, 60_000);

  test("services find one another by name and alias, and the volume outlives its container", async () => {
    await ok("up", "-d");
    expect(await ok("exec", "-T", "worker", "nc", "store", "7000")).toBe("ready\n");
    expect(await ok("exec", "-T", "web", "nc", "keeper", "7000")).toBe("ready\n");
    await until(async () => (await ok("logs", "--no-color", "worker")).includes("ready"));
    await ok("exec", "-T", "store", "sh", "-c", "echo again > /data/ready");
    await ok("rm", "-s", "-f", "store");
    await ok("run", "--rm", "-T", "--no-deps", "store", "grep", "again", "/data/ready");
  }, 60_000);

  test("exec, run and top tell exit codes and processes", async () => {
    await ok("up", "-d", "store");
    expect((await client("exec", "-T", "store", "sh", "-c", "exit 7")).code).toBe(7);
    const output = await client("run", "--rm", "-T", "worker", "sh", "-c", "echo hi; exit 3");
    expect([output.stdout, output.code]).toEqual(["hi\n", 3]);
    expect(await ok("top")).toContain("nc -ll -p 7000");
    expect(await states()).toEqual(named("store-1 running"));
  }, 60_000);

  test("stop, start, restart, pause, kill and rm", async () => {
    await ok("up", "-d");
    const web = async () => (await states()).find((line) => line.includes("web"))?.split(" ")[1];
    await ok("stop", "worker");
    expect((await states()).find((line) => line.includes("worker"))).toContain("exited");
    await ok("start", "worker");
    await ok("restart", "-t", "1");
    expect(await states()).toEqual(named("store-1 running", "web-1 running", "worker-1 running"));
    await ok("pause", "web");
    expect(await web()).toBe("paused");
    await ok("unpause", "web");
    await ok("kill", "web");
    await until(async () => (await web()) === "exited");
    await ok("rm", "-f", "web");
    expect(await web()).toBeUndefined();
    expect(await ok("images")).toContain("alpine");
  }, 60_000);

  test("a changed service is made anew, an unchanged one is left alone", async () => {
    await ok("up", "-d");
    const idOf = (service: string) => engine.ok("inspect", "-f", "{{.Id}}", ...named(`${service}-1`));
    const [store, worker] = [await idOf("store"), await idOf("worker")];
    writeFileSync(join(directory, "docker-compose.yml"), head + FILE.replace("sleep 0.2", "sleep 0.3"));
    await ok("up", "-d");
    expect(await idOf("store")).toBe(store);
    expect(await idOf("worker")).not.toBe(worker);
  }, 60_000);
});
