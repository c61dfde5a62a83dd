import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { BASE, Engine, run } from "../harness.ts";
import { pythonFolder, pythonSource } from "./tools.ts";

// docker-py of today, as it comes from pip.
let packages: string;
let source: string;
let engine: Engine;

beforeAll(async () => {
  packages = await pythonFolder("docker==7.1.0", "pytest==8.3.5", "pytest-timeout==2.4.0", "paramiko==3.5.1");
  // The last source distribution that has the tests in it.
  source = await pythonSource("docker", "6.1.3");
  engine = await Engine.start();
  // Users and directories of the image that the tests were written with.
  const users =
    "RUN mkdir -p /var/opt && echo 'postgres:x:70:70::/:/bin/sh' >> /etc/passwd && echo 'postgres:x:70:' >> /etc/group";
  await engine.ok("build", "-q", "-t", "alpine", engine.context({ Dockerfile: `FROM ${BASE}\n${users}\n` }));
  for (const name of ["alpine:3.10", "busybox"]) await engine.ok("tag", "alpine", name);
}, 300_000);
afterAll(() => engine?.[Symbol.asyncDispose](), 60_000);

async function pytest(folder: string, flags: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const argv = [
    "python3",
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "--timeout",
    "60",
    "--tb",
    "short",
    ...flags,
  ];
  const config = join(engine.root, "docker-config");
  mkdirSync(config, { recursive: true });
  const settings = { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: config, PYTHONPATH: packages, ...env };
  const output = await run(argv, { cwd: folder, env: { ...settings, PYTHONDONTWRITEBYTECODE: "1" } });
  if (output.code !== 0) throw new Error(`${output.stdout}${output.stderr}`);
  return output.stdout;
}

test("docker-py: containers, exec, logs, stats, attached sockets, images, volumes, networks, events", async () => {
  const folder = mkdtempSync(join(engine.root, "docker-py-"));
  copyFileSync(join(import.meta.dir, "docker-py.py"), join(folder, "test_docker.py"));
  expect(await pytest(folder, ["test_docker.py"])).toMatch(/\d+ passed/);
}, 240_000);

const SUBJECTS = [
  ...["api_build", "api_client", "api_container", "api_exec", "api_healthcheck", "api_image", "api_network"],
  ...["api_volume", "client", "errors", "models_containers", "models_images", "models_networks", "models_resources"],
  ...["models_volumes", "regression"],
];
/** Tests of docker-py's own suite that are left out, by reason. */
const LEFT_OUT = {
  "they pull from Docker's registry": [
    ...["PullImageTest", "test_get_load_image", "test_prune_images", "InspectDistributionTest", "test_pull"],
    ...["ImageCollectionTest and test_list", "test_tag_and_remove", "test_run_with_image_that_does_not_exist"],
  ],
  "they need a swarm": ["network_with_scope", "network_attachable", "network_ingress"],
  "they fail beside Docker 20.10 too": ["test_attach_no_stream", "reading_socket_ws"],
  "Docker 25 and later answer as we do: 127 for a missing program, other words, names of networks are unique": [
    ...["test_exec_run_failed", "test_api_error_parses_json", "test_create_with_restart_policy", "check_duplicate"],
  ],
  "Docker 27 and later refuse a subnet that is an address": ["ipv6_address", "network_ipv6_enabled"],
  "they read a log before the program can have written it": ["build_in_context_nested", "build_in_context_abs"],
  "they want an error after detaching that Docker gave until 18.06": ["test_detach_with_config_file"],
  "our images do not tell the container that they were made of": ["CommitTest"],
  "an empty map of IPAM options is shown as such": ["test_create_network_with_ipam_config"],
  "a cache is of use whatever --cache-from names, as with BuildKit": ["test_build_with_cache_from"],
};

test("docker-py's own suite of integration tests", async () => {
  const folder = mkdtempSync(join(engine.root, "docker-py-suite-"));
  // Apart from the library that they were shipped with.
  cpSync(join(source, "tests"), join(folder, "tests"), { recursive: true });
  const left = Object.values(LEFT_OUT).flat();
  const files = SUBJECTS.map((subject) => `tests/integration/${subject}_test.py`);
  const report = await pytest(folder, ["-k", left.map((words) => `not (${words})`).join(" and "), ...files], {
    DOCKER_TEST_API_VERSION: "1.41",
  });
  expect(Number(/(\d+) passed/.exec(report)?.[1])).toBeGreaterThan(200);
}, 420_000);
