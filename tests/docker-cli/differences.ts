import type { Expected } from "./vocabulary.ts";

/** Where an engine, or a client, is expected to answer otherwise than the script says. */
export interface Difference {
  /** Both when it is not said. */
  readonly engine?: "docker-20.10" | "slipway";
  /** Both when it is not said. */
  readonly client?: "docker" | "slipway";
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

/** One that no longer shows is a failure: the list stays true. */
export const DIFFERENCES: readonly Difference[] = [
  // Docker's documentation of `cp` says what the script expects.
  {
    ...{ client: "docker", section: "cp", sentence: "with -a it keeps its numeric owner" },
    expected: { out: "0:0" },
    reason: "Docker's client ignores -a on the way out, against its documentation",
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
    ...{ engine: "slipway", section: "build", sentence: "a step that fails ends the build" },
    expected: { err: /Dockerfile:2: process "\/bin\/sh -c exit 7" did not complete successfully: exit code: 7/ },
    reason: "the message names the file and the line, and shows it",
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
