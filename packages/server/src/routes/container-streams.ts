import { SlipwayError } from "@slipway/base";
import type { Backends, Container, LogOutput, LogQuery, LogRecord, StdioSession } from "../backend.ts";
import type { Call } from "../call.ts";
import { type BodyWriter, hijack, type RawStream, type Reply, stream } from "../http/reply.ts";
import { checkHandshake, webSocket } from "../http/websocket.ts";
import type { Query } from "../query.ts";
import type { RouteTable } from "../router.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detach-keys.ts";
import { linePrefix } from "./log-details.ts";
import { frame, pumpStdio, streamType } from "./stdio-stream.ts";

export function containerStreamRoutes({ containers }: Backends): RouteTable {
  return {
    "POST /containers/{id}/attach": (call) => attach(call, containers),
    "GET /containers/{id}/attach/ws": (call) => attachWebSocket(call, containers),
    "POST /containers/{id}/wait": (call) => wait(call, containers),
    "GET /containers/{id}/logs": (call) => logs(call, containers),
  };
}

async function attach(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const { query } = call;
  const which = { stdin: query.boolean("stdin"), stdout: query.boolean("stdout"), stderr: query.boolean("stderr") };
  const attachment = await openAttachment(call, containers, which);
  const type = streamType(!attachment.tty, call.version);
  return hijack(type, (raw) => pumpAttachment(raw, attachment, { multiplexed: !attachment.tty }));
}

/** Over a websocket all output is one stream of bytes. Up to 1.41 all three streams are meant, whatever is asked for. */
async function attachWebSocket(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const { query, version } = call;
  const wants = (name: string) => version < 42 || query.boolean(name);
  const which = { stdin: wants("stdin"), stdout: wants("stdout"), stderr: wants("stderr") };
  // Before the container is touched: what is no handshake is an HTTP error.
  checkHandshake(call.head);
  const attachment = await openAttachment(call, containers, which);
  return webSocket(call.head, { text: version < 28 }, (stream) =>
    pumpAttachment(stream, attachment, { multiplexed: false, detachAtInputEnd: true }),
  );
}

interface Attachment {
  readonly tty: boolean;
  readonly shown: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly session: StdioSession | undefined;
  readonly detachKeys: Uint8Array;
  readonly past: ((signal: AbortSignal) => Promise<LogOutput>) | undefined;
}

async function openAttachment(
  call: Call,
  containers: Backends["containers"],
  which: Attachment["shown"],
): Promise<Attachment> {
  const id = call.parameter("id");
  const { query } = call;
  // Parsed before anything is opened: a mistake is still an HTTP error then.
  const detachKeys = parseDetachKeys(query.string("detachKeys") ?? DEFAULT_DETACH_KEYS);
  const { container } = await containers.inspect(id);
  const tty = container.config.Tty === true;
  // With a terminal all output is one stream, whichever of the two was asked for.
  const shown = tty ? { ...which, stdout: which.stdout || which.stderr, stderr: false } : which;
  const session = query.boolean("stream") ? await containers.attach(id, shown) : undefined;
  const past = (signal: AbortSignal) =>
    containers.logs(id, { stdout: shown.stdout, stderr: shown.stderr, follow: false, signal });
  return { tty, shown, session, detachKeys, past: query.boolean("logs") ? past : undefined };
}

async function pumpAttachment(
  raw: RawStream,
  { tty, shown, session, detachKeys, past }: Attachment,
  options: { readonly multiplexed: boolean; readonly detachAtInputEnd?: boolean },
): Promise<void> {
  if (past !== undefined) {
    await writeLogs(raw, await past(raw.signal), { multiplexed: options.multiplexed });
  }
  if (session !== undefined) await pumpStdio(raw, session, { ...shown, ...options, ...(tty && { detachKeys }) });
}

/**
 * Answers when the condition holds, but sends its head as soon as nothing can be missed any more: `docker run` waits for
 * the head before it starts the container.
 */
async function wait(call: Call, containers: Backends["containers"]): Promise<Reply> {
  // Before 1.30 there was one condition.
  const condition = readCondition(call.version < 30 ? undefined : call.query.string("condition"));
  let registered: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    registered = resolve;
  });
  const result = containers.wait(call.parameter("id"), { condition, signal: call.signal, registered });
  // Without a registration only the result counts: a container that does not exist is a 404, not a broken stream.
  await Promise.race([ready, result]);
  result.catch(() => {});
  return stream("application/json", async (body) => {
    const { exitCode, error } = await result;
    const document = { StatusCode: exitCode, ...(error !== undefined && { Error: { Message: error } }) };
    await body.write(`${JSON.stringify(document)}\n`);
  });
}

function readCondition(text: string | undefined): "not-running" | "next-exit" | "removed" {
  switch (text ?? "not-running") {
    case "not-running":
      return "not-running";
    case "next-exit":
      return "next-exit";
    case "removed":
      return "removed";
    default:
      throw new SlipwayError("invalid", `invalid condition: "${text}"`);
  }
}

async function logs(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const { query } = call;
  const id = call.parameter("id");
  const streams = { stdout: query.boolean("stdout"), stderr: query.boolean("stderr") };
  if (!streams.stdout && !streams.stderr) {
    throw new SlipwayError("invalid", "Bad parameters: you must choose at least one stream");
  }
  const { container } = await containers.inspect(id);
  refuseUnreadable(container);
  const tty = container.config.Tty === true;
  const records = await containers.logs(id, { ...logQuery(query), ...streams, signal: call.signal });
  const prefix = linePrefix(container, {
    timestamps: query.boolean("timestamps"),
    details: query.boolean("details"),
  });
  return stream(streamType(!tty, call.version), (body) =>
    writeLogs(body, records, { multiplexed: !tty, ...(prefix && { prefix }) }),
  );
}

function refuseUnreadable(container: Container): void {
  if (container.hostConfig.LogConfig?.Type === "none") {
    throw new SlipwayError("not-implemented", "configured logging driver does not support reading");
  }
}

function logQuery(query: Query): Omit<LogQuery, "stdout" | "stderr"> {
  const since = query.time("since");
  const until = query.time("until");
  const tail = readTail(query.string("tail"));
  return {
    follow: query.boolean("follow"),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(tail !== undefined && { tail }),
  };
}

/** A number of lines; `all`, nothing and negative numbers are all of them. */
function readTail(text: string | undefined): number | undefined {
  if (text === undefined || text === "all") return undefined;
  if (!/^[+-]?\d{1,15}$/.test(text)) {
    throw new SlipwayError("invalid", `error converting tail value '${text.slice(0, 100)}' to a number`);
  }
  const lines = Number(text);
  return lines < 0 ? undefined : lines;
}

async function writeLogs(
  body: BodyWriter,
  output: LogOutput,
  options: { readonly multiplexed: boolean; readonly prefix?: (record: LogRecord) => string },
): Promise<void> {
  const { prefix } = options;
  if (prefix === undefined) {
    for await (const bytes of output.bytes(options.multiplexed)) if (bytes.length > 0) await body.write(bytes);
    return;
  }
  for await (const record of output) {
    const data = Buffer.concat([Buffer.from(prefix(record)), record.data]);
    await body.write(options.multiplexed ? frame(record.stream, data) : data);
  }
}
