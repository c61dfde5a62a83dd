import { SlipwayError } from "@slipway/base";
import type { Backends, Container, LogQuery } from "../backend.ts";
import type { Call } from "../call.ts";
import { type BodyWriter, hijack, type Reply, stream } from "../http/reply.ts";
import type { Query } from "../query.ts";
import type { RouteTable } from "../router.ts";
import { nanoTimestamp } from "../shapes/time.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detach-keys.ts";
import { frame, pumpStdio, streamType } from "./stdio-stream.ts";

export function containerStreamRoutes({ containers }: Backends): RouteTable {
  return {
    "POST /containers/{id}/attach": (call) => attach(call, containers),
    "POST /containers/{id}/wait": (call) => wait(call, containers),
    "GET /containers/{id}/logs": (call) => logs(call, containers),
  };
}

async function attach(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const id = call.parameter("id");
  const { container } = await containers.inspect(id);
  const tty = container.config.Tty === true;
  const { query } = call;
  const which = { stdin: query.boolean("stdin"), stdout: query.boolean("stdout"), stderr: query.boolean("stderr") };
  const live = query.boolean("stream");
  // Parsed before anything is opened: a mistake is still an HTTP error then.
  const detachKeys = parseDetachKeys(query.string("detachKeys") ?? DEFAULT_DETACH_KEYS);
  // With a terminal all output is one stream, whichever of the two was asked for.
  const shown = tty ? { ...which, stdout: which.stdout || which.stderr, stderr: false } : which;
  const session = live ? await containers.attach(id, shown) : undefined;
  return hijack(streamType(!tty, call.version), async (raw) => {
    if (query.boolean("logs")) {
      const past = { stdout: shown.stdout, stderr: shown.stderr, follow: false, signal: raw.signal };
      await writeLogs(raw, await containers.logs(id, past), { tty, timestamps: false });
    }
    if (session === undefined) return;
    await pumpStdio(raw, session, { ...shown, multiplexed: !tty, ...(tty && { detachKeys }) });
  });
}

/**
 * Answers when the condition holds, but sends its head as soon as nothing can be missed any more: `docker run` waits for
 * the head before it starts the container.
 */
async function wait(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const condition = readCondition(call.query.string("condition"));
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
  const timestamps = query.boolean("timestamps");
  return stream(streamType(!tty, call.version), (body) => writeLogs(body, records, { tty, timestamps }));
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
  records: Awaited<ReturnType<Backends["containers"]["logs"]>>,
  options: { readonly tty: boolean; readonly timestamps: boolean },
): Promise<void> {
  for await (const record of records) {
    const data = options.timestamps
      ? Buffer.concat([Buffer.from(`${nanoTimestamp(record.time)} `), record.data])
      : record.data;
    await body.write(options.tty ? data : frame(record.stream, data));
  }
}
