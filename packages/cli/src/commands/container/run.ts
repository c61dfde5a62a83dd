import type { EngineClient } from "../../client/engine-client.ts";
import { hijack } from "../../client/hijack.ts";
import { DEFAULT_SOCKET } from "../../client/host.ts";
import { ApiError, ConnectionError, ExitError } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { type CopyEnd, copyStreams } from "../../streams/copy-streams.ts";
import { forwardSignals } from "../../streams/signal-proxy.ts";
import { followTerminalSize } from "../../streams/terminal-size.ts";
import { createContainer, runError } from "./create-container.ts";
import { CREATE_FLAGS } from "./create-flags.ts";
import { attachedStreams } from "./create-request.ts";
import { type DetachKeys, detachKeysOf, startStatus } from "./running.ts";

export const run = command({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: atLeast(1),
  interspersed: false,
  flags: {
    ...CREATE_FLAGS,
    detach: flag.bool("Run in the background and print the container's ID", { short: "d" }),
    "detach-keys": flag.string("Keys that detach from the container"),
    "sig-proxy": flag.bool("Pass signals on to the process", { default: true }),
  },
  examples: [
    ["slipway run --rm -it debian bash", "A shell in a new container that is removed afterwards"],
    ["slipway run -d --name web -p 8080:80 nginx", "A server in the background, at port 8080 of this machine"],
    ['slipway run --rm -v "$PWD":/src -w /src node npm test', "A command over the current directory"],
  ],
  async run({ flags, given, args, session }) {
    const { io } = session;
    if (flags.detach && flags.attach.length > 0)
      throw new ExitError(1, "conflicting options: cannot specify both --attach and --detach");
    const streams = attachedStreams(flags, flags.detach);
    if (flags.tty && streams.stdin && !io.stdin.isTerminal()) {
      throw new ExitError(1, "the input device is not a TTY", "Leave out -t when the input is a pipe or a file.");
    }
    const [image = "", ...commandLine] = args;
    const client = await session.client();
    const input = {
      flags,
      given: (name: string) => given(name as never),
      image,
      command: commandLine,
      io,
      configDirectory: session.configDirectory,
      socket: client.host.kind === "unix" ? client.host.path : DEFAULT_SOCKET,
      proxies: (given: Iterable<string>) => session.proxies(given),
    };
    const id = await createContainer(input, client, "run").catch((error: unknown) => {
      throw asRunError(error);
    });
    const attached = streams.stdin || streams.stdout || streams.stderr;
    // Also with a terminal: its keys arrive as bytes, but somebody may mean the container with kill.
    const proxy = flags["sig-proxy"] && !flags.detach ? forwardSignals(client, id, io) : undefined;
    try {
      if (!attached) {
        await startContainer(client, id);
        io.stdout.write(`${id}\n`);
        return 0;
      }
      const detachKeys = await detachKeysOf(flags["detach-keys"], session);
      const attachedRun = runAttached({ client, id, streams, tty: flags.tty, remove: flags.rm, detachKeys, session });
      return await (proxy === undefined ? attachedRun : Promise.race([attachedRun, proxy.forced]));
    } finally {
      proxy?.end();
    }
  },
});

interface AttachedRun {
  readonly client: EngineClient;
  readonly id: string;
  readonly streams: Record<"stdin" | "stdout" | "stderr", boolean>;
  readonly tty: boolean;
  readonly remove: boolean;
  readonly detachKeys: DetachKeys;
  readonly session: { readonly io: Parameters<typeof forwardSignals>[2] };
}

/** Attaches and waits before the start, so that neither output nor exit can be missed. */
async function runAttached({
  client,
  id,
  streams,
  tty,
  remove,
  detachKeys,
  session: { io },
}: AttachedRun): Promise<number> {
  const { stdin, stdout, stderr } = streams;
  const query = { stream: 1, stdin, stdout, stderr, detachKeys: detachKeys.text };
  const [connection, exit] = await Promise.all([
    hijack(client, `/containers/${id}/attach`, query),
    client.request("POST", `/containers/${id}/wait`, { query: { condition: remove ? "removed" : "next-exit" } }),
  ]).catch((error: unknown) => {
    throw asRunError(error);
  });
  const status = exitStatus(exit);
  const copy = copyStreams({ io, connection, stdin, tty, detachKeys: detachKeys.bytes });
  // Until the start has worked nobody listens to these two.
  copy.catch(() => {});
  status.catch(() => {});
  try {
    await startContainer(client, id);
  } catch (error) {
    connection.close();
    // With --rm the engine removes what could not start; the next command must find it gone.
    if (remove) await status.catch(() => {});
    throw error;
  }
  const unfollow = tty ? followTerminalSize(client, `/containers/${id}`, io) : undefined;
  const end: CopyEnd = await copy.finally(unfollow);
  if (end === "detached") {
    io.stderr.write("read escape sequence\n");
    return 0;
  }
  return await status;
}

function asRunError(error: unknown): unknown {
  const isEngines = error instanceof ApiError || error instanceof ConnectionError;
  return isEngines ? runError(error.message, { hint: error.hint }) : error;
}

async function startContainer(client: EngineClient, id: string): Promise<void> {
  try {
    await client.send("POST", `/containers/${id}/start`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw runError(error.message, { status: startStatus(error), hint: error.hint });
  }
}

async function exitStatus(response: Response): Promise<number> {
  const result = await (response.json() as Promise<{ StatusCode?: number; Error?: { Message?: string } | null }>).catch(
    () => {
      // The engine has ended: the container's code is not known, and it may still run.
      throw new ExitError(125, "error waiting for container: unexpected EOF", "The engine ended; see 'slipway ps -a'.");
    },
  );
  if (result.Error?.Message) throw new ExitError(125, result.Error.Message);
  return result.StatusCode ?? 0;
}
