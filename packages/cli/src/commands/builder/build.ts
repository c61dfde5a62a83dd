import { BUILD_FLAGS, REFUSED, WITHOUT_EFFECT } from "../../build/build-flags.ts";
import { type BuildSources, findSources } from "../../build/context.ts";
import { readAgents, readSecrets } from "../../build/credentials.ts";
import { deliver } from "../../build/deliver.ts";
import { explanation } from "../../build/explanation.ts";
import { type Output, type PushForm, parseOutput } from "../../build/outputs.ts";
import { PlainProgress } from "../../build/plain-progress.ts";
import { type Progress, SILENT } from "../../build/progress.ts";
import { RawProgress } from "../../build/raw-progress.ts";
import { type BuildBody, runBuild } from "../../build/run-build.ts";
import { summary } from "../../build/summary.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import type { FlagValues } from "../../grammar/flag.ts";
import type { Io } from "../../io.ts";
import { parseUlimit } from "../../notation/device.ts";
import { pairs, splitPair } from "../../notation/environment.ts";
import { splitReference } from "../../output/text.ts";
import type { Session } from "../../session.ts";
import { buildLogins, imageLogin } from "../registry/registry-access.ts";

type BuildValues = FlagValues<typeof BUILD_FLAGS>;

export const build = command({
  usage: "[OPTIONS] PATH | URL | -",
  args: exactly(1),
  flags: BUILD_FLAGS,
  examples: [
    ["slipway build -t app .", "Build the Dockerfile of this folder"],
    ["slipway build --explain -t app .", "Say which input made each step run again"],
    ["slipway build -o out --target assets .", "Copy a stage's files to a folder"],
    ["slipway build --secret id=token,env=TOKEN .", "Give steps a secret that no layer keeps"],
  ],
  async run({ flags, given, args: [argument = ""], session }) {
    const { io } = session;
    refuse(flags, (name) => given(name as never), io);
    const output = withPush(
      invalid(() => parseOutput(flags.output)),
      flags.push,
    );
    const sources = await findSources(argument, flags.file, io);
    const client = await session.client();
    const progress = await makeProgress(flags, io);
    const started = Date.now();
    const buildArgs = await buildVariables(flags["build-arg"], session);
    const body = await requestBody({ flags, output, sources, io, buildArgs });
    const headers = await buildLogins(session);
    const explained = explanation(progress);
    const counted = summary(explained);
    let elsewhere = false;
    const result = await runOn(
      sources,
      () => runBuild(client, body, { progress: counted, io, headers }),
      async () => {
        elsewhere = true;
        const { buildFromTar } = await import("../../build/remote.ts");
        return await buildFromTar({ client, flags, buildArgs, sources, io, output, progress: counted, headers });
      },
    );
    await deliver(client, result, { output, io });
    if (output.type === "image" && output.push !== undefined) {
      await pushBuilt(session, { names: [...flags.tag, ...output.names], form: output.push, quiet: flags.quiet });
    }
    if (flags.iidfile !== "" && result.imageId !== undefined) await Bun.write(flags.iidfile, result.imageId);
    if (flags["metadata-file"] !== "") await Bun.write(flags["metadata-file"], metadata(result));
    if (flags.quiet && result.imageId !== undefined) io.stdout.write(`${result.imageId}\n`);
    else if (progress !== SILENT && flags.progress !== "rawjson" && !elsewhere)
      io.stderr.write(counted.text(result, Date.now() - started));
    if (flags.explain) io.stderr.write(elsewhere ? UNEXPLAINED : explained.text());
    return 0;
  },
});

/** Over Docker's own call the engine tells what steps print, not why they ran. */
const UNEXPLAINED = "\n--explain: the engine is on another machine, or is not ours: it does not say why steps ran\n";

/** `--push` is `-o type=registry`. */
function withPush(output: Output, push: boolean): Output {
  if (!push) return output;
  if (output.type !== "image") throw new ExitError(1, `--push sends images, and the output is ${output.type}`);
  return { ...output, push: output.push ?? {} };
}

async function pushBuilt(
  session: Session,
  { names, form, quiet }: { readonly names: readonly string[]; readonly form: PushForm; readonly quiet: boolean },
): Promise<void> {
  if (names.length === 0) throw new ExitError(1, "tag is needed when pushing to registry", "Name the image with -t.");
  const { pushImage } = await import("../image/push-image.ts");
  for (const name of names) {
    const { repository, tag = "latest" } = splitReference(name);
    const headers = await imageLogin(session, name);
    const client = await session.client();
    await pushImage({
      client,
      repository,
      tag,
      ...form,
      quiet,
      output: session.io.stderr,
      env: session.io.env,
      headers,
    });
  }
}

/** In place when the engine sees our files; as a tar when it does not, or when a tar is all there is. */
async function runOn<T>(sources: BuildSources, local: () => Promise<T>, remote: () => Promise<T>): Promise<T> {
  if (sources.context.kind === "tar") return await remote();
  try {
    return await local();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (sources.context.kind === "local" && isElsewhere(error)) return await remote();
    throw new ExitError(1, `ERROR: failed to build: ${error.reason}`, error.hint);
  }
}

/** The engine sees another directory at our path, or it is Docker's own and has no such call. */
function isElsewhere({ status, reason }: ApiError): boolean {
  if (status === 409) return reason.includes("sees another directory");
  return (status === 404 || status === 405) && /page not found|method not allowed/i.test(reason);
}

/** Throws `ExitError` for what would give another result than was asked for, and warns of what has no effect. */
function refuse(flags: BuildValues, given: (name: string) => boolean, io: Io): void {
  for (const [name, reason] of Object.entries(REFUSED)) {
    const isOff = String(flags[name as keyof BuildValues]) === "false";
    if (given(name) && !isOff) throw new ExitError(1, `--${name}: ${reason}`);
  }
  for (const name of WITHOUT_EFFECT.filter(given)) io.stderr.write(`WARNING: --${name} has no effect on builds\n`);
}

interface BodyInput {
  readonly flags: BuildValues;
  readonly output: Output;
  readonly sources: BuildSources;
  readonly io: Io;
  readonly buildArgs: Readonly<Record<string, string>>;
}

async function requestBody({ flags, output, sources, io, buildArgs }: BodyInput): Promise<BuildBody> {
  const platform =
    flags.platform.length > 0 ? flags.platform : io.env.DOCKER_DEFAULT_PLATFORM ? [io.env.DOCKER_DEFAULT_PLATFORM] : [];
  if (platform.length > 1) throw new ExitError(1, "building for several platforms at once is not built yet");
  const network = flags.network === "" || flags.network === "bridge" ? "default" : flags.network;
  return {
    context: sources.context.kind === "tar" ? { kind: "empty" } : sources.context,
    dockerfile: sources.dockerfile,
    namedContexts: await namedContexts(flags["build-context"], io),
    target: flags.target,
    buildArgs,
    labels: pairs(flags.label),
    tags: [...flags.tag, ...(output.type === "image" ? output.names : [])],
    ...(platform[0] === undefined ? {} : { platform: platform[0] }),
    noCache: flags["no-cache"],
    pull: flags.pull,
    secrets: await invalid(() => readSecrets(flags.secret, io.env)),
    ssh: await invalid(() => readAgents(flags.ssh, io.env)),
    network,
    extraHosts: flags["add-host"].map((text) => text.replace("=", ":")),
    ...(flags["shm-size"] > 0 ? { shmSize: flags["shm-size"] } : {}),
    ulimits: invalid(() => flags.ulimit.map(parseUlimit)),
    output: { type: output.type },
  };
}

/** Errors of notations become errors of the command. */
function invalid<T>(read: () => T): T {
  const refuse = (error: unknown): never => {
    throw error instanceof ExitError ? error : new ExitError(1, error instanceof Error ? error.message : String(error));
  };
  try {
    const value = read();
    return value instanceof Promise ? (value.catch(refuse) as T) : value;
  } catch (error) {
    return refuse(error);
  }
}

/** Those of the flags, and the user's proxies. */
async function buildVariables(values: readonly string[], session: Session): Promise<Record<string, string>> {
  const proxies = await session.proxies(values.map((text) => splitPair(text)[0]));
  return { ...buildArguments(values, session.io.env), ...Object.fromEntries(proxies) };
}

function buildArguments(values: readonly string[], env: Io["env"]): Record<string, string> {
  const entries = values.flatMap((text): [string, string][] => {
    const at = text.indexOf("=");
    if (at >= 0) return [[text.slice(0, at), text.slice(at + 1)]];
    const value = env[text];
    return value === undefined ? [] : [[text, value]];
  });
  return Object.fromEntries(entries);
}

async function namedContexts(values: readonly string[], io: Io): Promise<Record<string, string>> {
  if (values.length === 0) return {};
  const { resolve } = await import("node:path");
  return Object.fromEntries(
    values.map((text) => {
      const at = text.indexOf("=");
      if (at <= 0) throw new ExitError(1, `invalid context value: ${text}, expected key=value`);
      const value = text.slice(at + 1);
      const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(value) && !value.startsWith("git@");
      return [text.slice(0, at), isPath ? resolve(io.cwd(), value) : value];
    }),
  );
}

async function makeProgress(flags: BuildValues, io: Io): Promise<Progress> {
  const asked = flags.progress === "auto" ? io.env.BUILDKIT_PROGRESS || "auto" : flags.progress;
  if (flags.quiet || asked === "quiet") return SILENT;
  switch (asked) {
    case "auto":
    case "tty": {
      const usable = io.stderr.isTerminal() && io.env.TERM !== "dumb";
      if (!usable && asked === "tty") throw new ExitError(1, "--progress=tty needs a terminal");
      if (!usable) return new PlainProgress(io.stderr);
      const { TerminalProgress } = await import("../../build/terminal-progress.ts");
      return new TerminalProgress(io.stderr, !io.env.NO_COLOR);
    }
    case "plain":
      return new PlainProgress(io.stderr);
    case "rawjson":
      return new RawProgress(io.stderr);
    default:
      throw new ExitError(1, `invalid progress mode ${asked}: use auto, plain, tty, quiet or rawjson`);
  }
}

function metadata(result: { imageId?: string; manifestDigest?: string; names?: readonly string[] }): string {
  const document = {
    ...(result.imageId === undefined ? {} : { "containerimage.config.digest": result.imageId }),
    ...(result.manifestDigest === undefined ? {} : { "containerimage.digest": result.manifestDigest }),
    ...(result.names === undefined || result.names.length === 0 ? {} : { "image.name": result.names.join(",") }),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
