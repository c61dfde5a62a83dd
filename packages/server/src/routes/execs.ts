import { errorMessage, isError, type JsonReader, SlipwayError } from "@slipway/base";
import type { Backends, ExecConfig, StdioSession } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, hijack, json, type RawStream, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { terminalSize } from "./containers.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detach-keys.ts";
import { present } from "./present.ts";
import { readConsoleSize } from "./read-host-config.ts";
import { frame, pumpStdio, streamType } from "./stdio-stream.ts";

export function execRoutes({ execs }: Backends): RouteTable {
  return {
    "POST /containers/{id}/exec": async (call) => {
      const id = await execs.create(call.parameter("id"), readExecConfig(await call.json()));
      return json(201, { Id: id });
    },
    "POST /exec/{id}/start": (call) => start(call, execs),
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

async function start(call: Call, execs: Backends["execs"]): Promise<Reply> {
  const id = call.parameter("id");
  const body = await call.json();
  const detach = body.field("Detach").optionalBoolean() ?? false;
  const size = readConsoleSize(body.field("ConsoleSize"));
  const { config } = await execs.inspect(id);
  const tty = config.Tty === true;
  const detachKeys = parseDetachKeys(config.DetachKeys || DEFAULT_DETACH_KEYS);
  const session = await startSession(execs, id, {
    detach,
    ...(size !== undefined && { consoleSize: { rows: size[0], columns: size[1] } }),
  });
  if (session === undefined) return empty(200);
  return hijack(streamType(!tty, call.version), async (raw) => {
    if ("failure" in session) return await writeFailure(raw, session.failure, tty);
    await pumpStdio(raw, session, {
      multiplexed: !tty,
      stdin: config.AttachStdin === true,
      stdout: config.AttachStdout === true || tty,
      stderr: config.AttachStderr === true,
      ...(tty && { detachKeys }),
    });
  });
}

/**
 * A program that cannot be executed (126, 127) is no failure of the request: clients read the runtime's words from the
 * stream and the code from the exec's inspection, and end with that code.
 */
async function startSession(
  execs: Backends["execs"],
  id: string,
  options: Parameters<Backends["execs"]["start"]>[1],
): Promise<StdioSession | { readonly failure: string } | undefined> {
  try {
    return await execs.start(id, options);
  } catch (error) {
    const hasExitCode = isError(error) && typeof error.details.exitCode === "number";
    if (!hasExitCode || options.detach) throw error;
    return { failure: errorMessage(error) };
  }
}

async function writeFailure(raw: RawStream, message: string, tty: boolean): Promise<void> {
  const line = Buffer.from(`${message}\r\n`);
  await raw.write(tty ? line : frame("stdout", line));
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
