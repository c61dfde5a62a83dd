import type { Expected } from "./vocabulary.ts";

/** Docker's of today (28), Debian's, ours. */
export type ClientName = "docker" | "docker-20.10" | "slipway";

/** Where an engine, or a client, is expected to answer otherwise than the script says. */
export interface Difference {
  /** Both when it is not said. */
  readonly engine?: "docker-20.10" | "slipway";
  /** Both when it is not said. */
  readonly client?: ClientName;
  readonly section: string;
  readonly sentence: string;
  /** What stands instead of the script's expectation. */
  readonly expected: Partial<Expected>;
  readonly reason: string;
  /** Shows on some machines only: the script's own expectation is right too. */
  readonly dependsOnMachine?: boolean;
}

const WEAK_MACHINE =
  "runc 1.1 cannot give capabilities that the machine itself holds back from root; ours gives those there are";
const EXEC_CODES = "engines before 23 end an exec with 126 whatever kept it from starting";
const NO_CAPS = { code: 125, out: "", err: /unable to apply caps: operation not permitted/ };

const IGNORES_OWNERS = {
  expected: { out: "0:0" },
  reason: "Docker's client ignores -a on the way out, against its documentation",
};

/** One that no longer shows is a failure: the list stays true. */
export const DIFFERENCES: readonly Difference[] = [
  // Docker's documentation of `cp` says what the script expects.
  {
    ...{ client: "docker", section: "cp", sentence: "with -a it keeps its numeric owner" },
    ...IGNORES_OWNERS,
  },
  {
    ...{ client: "docker-20.10", section: "cp", sentence: "with -a it keeps its numeric owner" },
    ...IGNORES_OWNERS,
  },
  ...["without -a it belongs to root", "without -a it belongs to root, whoever the container's user is"].map(
    (sentence): Difference => ({
      ...{ engine: "docker-20.10", section: "cp", sentence },
      expected: { out: "12:34" },
      reason: "Docker's engine keeps the numeric owner without -a, against its documentation",
    }),
  ),
  // What Docker 20.10 does not have yet.
  ...["127 for a command that is not there", "the reason is told", "a directory that is not there is refused"].map(
    (sentence): Difference => ({
      ...{ engine: "docker-20.10", section: "exec", sentence },
      expected: { code: 126 },
      reason: EXEC_CODES,
    }),
  ),
  {
    ...{ engine: "docker-20.10", section: "networks", sentence: "--mac-address" },
    expected: { code: 125, out: "", err: /requires API version 1\.44/ },
    reason: "newer clients give the address with the network, which engines before 25 cannot take",
  },
  {
    ...{ engine: "docker-20.10", section: "networks", sentence: "--internal is kept" },
    expected: { out: "true\n1" },
    reason: "engines before 23 give internal networks a default route that leads nowhere",
  },
  // What this machine does not let Docker do.
  ...["--privileged sees the devices of the host", "--privileged may mount"].map(
    (sentence): Difference => ({
      ...{ engine: "docker-20.10", section: "privileges", sentence },
      ...{ expected: NO_CAPS, reason: WEAK_MACHINE, dependsOnMachine: true },
    }),
  ),
  {
    ...{ engine: "docker-20.10", section: "privileges", sentence: "--privileged has all capabilities" },
    ...{ expected: { ...NO_CAPS, code: 1 }, reason: WEAK_MACHINE, dependsOnMachine: true },
  },
  {
    ...{ engine: "docker-20.10", section: "exec", sentence: "--privileged gives all capabilities" },
    ...{ expected: { code: 1, out: "" }, reason: WEAK_MACHINE, dependsOnMachine: true },
  },
  ...oldClient(),
  // Where our client is different on purpose.
  ...["a build tells its steps", "the second time it comes from the cache", "--no-cache runs all"].map(
    (sentence): Difference => ({
      ...{ client: "slipway", section: "build", sentence },
      expected: {
        code: sentence.startsWith("the second") ? 1 : 0,
        out: /^0?$/,
        err: /^#1 [\s\S]*^Built [0-9a-f]{12}/m,
      },
      reason: "our client tells a build's progress on standard error, in BuildKit's form, and why each step ran",
    }),
  ),
  {
    ...{ client: "slipway", section: "build", sentence: "a step that fails ends the build" },
    expected: { code: 1, err: /process "\/bin\/sh -c exit 7" did not complete successfully: exit code: 7/ },
    reason: "a failed build ends with 1, as with BuildKit",
  },
  {
    ...{ client: "slipway", section: "system", sentence: "swarm commands say so" },
    expected: { err: /'node' is part of Docker Swarm: this engine runs on one machine and has no cluster/ },
    reason: "our client says it without asking the engine",
  },
  {
    ...{ client: "slipway", section: "system", sentence: "there are no plug-ins" },
    expected: { code: 1, err: /'plugin' is about engine plug-ins, which this engine does not have/ },
    reason: "our client says it without asking the engine",
  },
  // Where our engine is different on purpose.
  {
    ...{ engine: "slipway", section: "images", sentence: "with force it goes nevertheless" },
    expected: { out: "Untagged: held:latest" },
    reason:
      "an image stays, without a name, as long as a container is made from it: commit, diff and inspect go on working",
  },
  {
    ...{ engine: "slipway", section: "build", sentence: "a context as a tar from standard input" },
    expected: { out: "Dockerfile\nOther\nkeep\nnone" },
    reason: "the ignore file holds whichever way the context came, as with BuildKit",
  },
  {
    ...{ engine: "slipway", section: "images", sentence: "history with sizes" },
    expected: { out: "0\n3\n1982561" },
    reason: "Docker adds the lengths of symbolic links to a layer's size",
  },
  {
    ...{ engine: "slipway", section: "images", sentence: "inspect: size in bytes" },
    expected: { out: "1982564" },
    reason: "Docker adds the lengths of symbolic links to a layer's size",
  },
];

/** The client of Debian 12, which speaks version 1.41 of the API. */
function oldClient(): Difference[] {
  const differences: readonly (readonly [section: string, sentence: string, expected: Partial<Expected>])[] = [
    ["run", "--rm and --restart exclude each other", { err: /Conflicting options: --restart and --rm/ }],
    ["cp", "what is not there", { err: "Error: No such container:path: cc:/nosuch" }],
    ["cp", "a place whose parent is not there", { err: "Error: No such container:path: cc:/no/such" }],
    ["cp", "an unknown container", { err: "Error: No such container:path: nosuch:/x" }],
    ["ps", "--format json", { out: "json" }],
    ["events", "--format json", { out: "json" }],
    ["images", "inspect of an unknown image", { err: "Error: No such image: nosuch" }],
    ["volumes", "rm of what is not there", { err: "Error: No such volume: v2" }],
    ["volumes", "inspect of what is not there", { err: "Error: No such volume: v2" }],
    ["published ports", "a port that is none", { err: /Invalid hostPort: 99999/ }],
    ["published ports", "a protocol that is none", { err: /Invalid proto: nope/ }],
    ["published ports", "ranges that do not fit", { err: /Invalid ranges specified for container and host Ports/ }],
    ["networks", "rm of what is not there", { err: "Error: No such network: in1" }],
    ["networks", "inspect of what is not there", { err: "Error: No such network: in1" }],
    ["prune", "container prune asks", { out: /\[y\/N\] Total reclaimed space: 0B$/ }],
    ["prune", "system prune asks", { out: / {2}- all dangling build cache\n/ }],
    ["errors", "exactly two are wanted", { err: /requires exactly 2 arguments/ }],
    ["errors", "a management command without a verb shows its help", { err: /^\nUsage: {2}docker container COMMAND/ }],
    ["errors", "help of a command", { out: /^\nUsage: {2}docker run / }],
    ["errors", "help of all", { out: /^\nUsage: {2}docker / }],
  ];
  return differences.map(([section, sentence, expected]) => ({
    ...{ client: "docker-20.10", section, sentence, expected },
    reason: "the older client has other words, or lacks the format",
  }));
}
