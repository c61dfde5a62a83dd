import { errorMessage, type JsonReader, SlipwayError } from "@slipway/base";
import type { Backends, ExecConfig, ExecState, StdioSession } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, hijack, json, type RawStream, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { terminalSize } from "./containers.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detach-keys.ts";
import { present } from "./present.ts";
import { readConsoleSize } from "./read-host-config.ts";
import { frame, pumpStdio, streamType } from "./stdio-stream.ts";

export function execRoutes(backends: Backends): RouteTable {
  const { execs } = backends;
  return {
    "POST /containers/{id}/exec": async (call) => {
      const id = await execs.create(call.parameter("id"), readExecConfig(await call.json()));
      return json(201, { Id: id });
    },
    "POST /exec/{id}/start": (call) => start(call, backends),
    "GET /exec/{id}/json": async (call) => json(200, execDocument(await execs.inspect(call.parameter("id")))),
    "POST /exec/{id}/resize": async (call) => {
      await execs.resize(call.parameter("id"), terminalSize(call.query));
      return empty(200);
    },
  };
}

function readExecConfig(reader: JsonReader): ExecConfig {
  const command = reader.field("Cmd").strings();
  if (command.length === 0) throw new SlipwayError("invalid", "No exec command specified");
  return {
    Cmd: command,
    ...present({
      User: reader.field("User").optionalString(),
      Privileged: reader.field("Privileged").optionalBoolean(),
      Tty: reader.field("Tty").optionalBoolean(),
      AttachStdin: reader.field("AttachStdin").optionalBoolean(),
      AttachStdout: reader.field("AttachStdout").optionalBoolean(),
      AttachStderr: reader.field("AttachStderr").optionalBoolean(),
      DetachKeys: reader.field("DetachKeys").optionalString(),
      Env: reader.field("Env").optional()?.strings(),
      WorkingDir: reader.field("WorkingDir").optionalString() || undefined,
      ConsoleSize: readConsoleSize(reader.field("ConsoleSize")),
    }),
  };
}

async function start(call: Call, { execs, containers }: Backends): Promise<Reply> {
  const id = call.parameter("id");
  const body = await call.json();
  const size = readConsoleSize(body.field("ConsoleSize"));
  const consoleSize = size && { rows: size[0], columns: size[1] };
  const exec = await execs.inspect(id);
  const detachKeys = parseDetachKeys(exec.config.DetachKeys || DEFAULT_DETACH_KEYS);
  if (body.field("Detach").optionalBoolean() === true) {
    await execs.start(id, { detach: true, ...present({ consoleSize }) });
    return empty(200);
  }
  await refuseUnstartable(exec, containers);
  const tty = exec.config.Tty === true;
  // As in Docker it is the start that says whether streams are told apart, whatever the process has: docker-py starts
  // commands with a terminal so, and takes them from the one stream's frames.
  const multiplexed = body.field("Tty").optionalBoolean() !== true;
  // The head goes out before the process starts: clients whose HTTP library reads ahead would lose output that comes with it.
  return hijack(streamType(multiplexed, call.version), async (raw) => {
    let session: StdioSession | undefined;
    try {
      session = await execs.start(id, { detach: false, ...present({ consoleSize }) });
    } catch (error) {
      // A program that cannot be executed: clients show these words and end with the exit code of the exec's inspection.
      return await writeFailure(raw, errorMessage(error), multiplexed);
    }
    if (session === undefined) return;
    await pumpStdio(raw, session, {
      multiplexed,
      stdin: exec.config.AttachStdin === true,
      stdout: exec.config.AttachStdout === true || tty,
      stderr: exec.config.AttachStderr === true,
      ...(tty && { detachKeys }),
    });
  });
}

/** What can be known beforehand is still an HTTP error. */
async function refuseUnstartable(exec: ExecState, containers: Backends["containers"]): Promise<void> {
  if (exec.running) throw new SlipwayError("conflict", `Error: Exec command ${exec.id} is already running`);
  if (exec.exitCode !== undefined) throw new SlipwayError("conflict", `Error: Exec command ${exec.id} has already run`);
  const { container } = await containers.inspect(exec.containerId);
  const { status } = container.state;
  if (status === "paused") {
    throw new SlipwayError("conflict", `Container ${container.id} is paused, unpause the container before exec`);
  }
  if (status !== "running") throw new SlipwayError("conflict", `container ${container.id} is not running`);
}

async function writeFailure(raw: RawStream, message: string, multiplexed: boolean): Promise<void> {
  const line = Buffer.from(`${message}\r\n`);
  await raw.write(multiplexed ? frame("stdout", line) : line);
}

function execDocument(exec: Awaited<ReturnType<Backends["execs"]["inspect"]>>): Record<string, unknown> {
  const { config } = exec;
  const [entrypoint = "", ...args] = config.Cmd;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: {
      tty: config.Tty ?? false,
      entrypoint,
      arguments: args,
      privileged: config.Privileged ?? false,
      ...(config.User && { user: config.User }),
    },
    OpenStdin: config.AttachStdin ?? false,
    OpenStderr: config.AttachStderr ?? false,
    OpenStdout: config.AttachStdout ?? false,
    CanRemove: !exec.running && exec.exitCode !== undefined,
    ContainerID: exec.containerId,
    DetachKeys: config.DetachKeys ? Buffer.from(parseDetachKeys(config.DetachKeys)).toString("base64") : "",
    Pid: exec.pid,
  };
}
