import type { ContainerDocument } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { hijack } from "../../client/hijack.ts";
import { ApiError, ExitError, failureLines } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Session } from "../../session.ts";
import { copyStreams } from "../../streams/copy-streams.ts";
import { forwardSignals } from "../../streams/signal-proxy.ts";
import { followTerminalSize } from "../../streams/terminal-size.ts";
import { segment } from "../each.ts";
import { detachKeysOf, startStatus } from "./running.ts";

export const start = command({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {
    attach: flag.bool("Attach stdout and stderr, and pass signals on", { short: "a" }),
    checkpoint: flag.string("Start from a checkpoint", { hidden: true }),
    "checkpoint-dir": flag.string("Folder of checkpoints", { hidden: true }),
    "detach-keys": flag.string("Keys that detach from the container"),
    interactive: flag.bool("Attach stdin", { short: "i" }),
  },
  examples: [
    ["slipway start web", "Run a created or stopped container"],
    ["slipway start -ai shell", "Run it and be in it"],
  ],
  async run({ flags, args, session }) {
    if (flags.checkpoint !== "") throw new ExitError(1, "--checkpoint: checkpoints are not built yet");
    const client = await session.client();
    if (flags.attach || flags.interactive) {
      if (args.length > 1) throw new ExitError(1, "you cannot start and attach multiple containers at once");
      return await startAttached(args[0] ?? "", flags["detach-keys"], { client, session, stdin: flags.interactive });
    }
    const failed: string[] = [];
    for (const name of args) {
      try {
        await client.send("POST", `/containers/${segment(name)}/start`);
        session.io.stdout.write(`${name}\n`);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        session.io.stderr.write(`${failureLines(error).join("\n")}\n`);
        failed.push(name);
      }
    }
    if (failed.length > 0) throw new ExitError(1, `Error: failed to start containers: ${failed.join(", ")}`);
    return 0;
  },
});

interface Attaching {
  readonly client: EngineClient;
  readonly session: Session;
  readonly stdin: boolean;
}

async function startAttached(
  name: string,
  keys: string,
  { client, session, stdin: wanted }: Attaching,
): Promise<number> {
  const { io } = session;
  const {
    Id: id,
    Config: config,
    HostConfig,
  } = await client.json<ContainerDocument>("GET", `/containers/${segment(name)}/json`);
  const stdin = wanted && config.OpenStdin;
  const detachKeys = await detachKeysOf(keys, session);
  const condition = HostConfig.AutoRemove ? "removed" : "next-exit";
  const [connection, exit] = await Promise.all([
    hijack(client, `/containers/${id}/attach`, { stream: 1, stdin, stdout: 1, stderr: 1, detachKeys: detachKeys.text }),
    client.request("POST", `/containers/${id}/wait`, { query: { condition } }),
  ]);
  const status = exit.json() as Promise<{ StatusCode?: number }>;
  status.catch(() => {});
  const copy = copyStreams({ io, connection, stdin, tty: config.Tty, detachKeys: detachKeys.bytes });
  copy.catch(() => {});
  try {
    await client.send("POST", `/containers/${id}/start`);
  } catch (error) {
    connection.close();
    if (!(error instanceof ApiError)) throw error;
    const code = startStatus(error);
    throw new ExitError(code === 125 ? 1 : code, error.message);
  }
  const proxy = config.Tty ? undefined : forwardSignals(client, id, io);
  const unfollow = config.Tty ? followTerminalSize(client, `/containers/${id}`, io) : undefined;
  const end = await Promise.race(proxy === undefined ? [copy] : [copy, proxy.forced]).finally(() => {
    proxy?.end();
    unfollow?.();
  });
  return end === "detached" ? 0 : ((await status).StatusCode ?? 0);
}
