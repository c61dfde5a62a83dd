import type { ContainerDocument } from "../../client/documents.ts";
import { hijack } from "../../client/hijack.ts";
import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { copyStreams } from "../../streams/copy-streams.ts";
import { forwardSignals } from "../../streams/signal-proxy.ts";
import { followTerminalSize } from "../../streams/terminal-size.ts";
import { segment } from "../each.ts";
import { detachKeysOf } from "./running.ts";

export const attach = command({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags: {
    "detach-keys": flag.string("Keys that detach from the container"),
    "no-stdin": flag.bool("Do not attach stdin"),
    "sig-proxy": flag.bool("Pass signals on to the process", { default: true }),
  },
  examples: [
    ["slipway attach web", "See and type what the process does; Ctrl-p Ctrl-q leaves it"],
    ["slipway attach --no-stdin --sig-proxy=false web", "Only look"],
  ],
  async run({ flags, args: [name = ""], session }) {
    const { io } = session;
    const client = await session.client();
    const container = await client.json<ContainerDocument>("GET", `/containers/${segment(name)}/json`);
    refuseUnattachable(container);
    const { Id: id, Config: config } = container;
    const stdin = !flags["no-stdin"] && config.OpenStdin;
    if (config.Tty && stdin && !io.stdin.isTerminal()) throw new ExitError(1, "the input device is not a TTY");
    const detachKeys = await detachKeysOf(flags["detach-keys"], session);
    const [connection, exit] = await Promise.all([
      hijack(client, `/containers/${id}/attach`, {
        stream: 1,
        stdin,
        stdout: 1,
        stderr: 1,
        detachKeys: detachKeys.text,
      }),
      client.request("POST", `/containers/${id}/wait`, { query: { condition: "not-running" } }),
    ]);
    const status = exit.json() as Promise<{ StatusCode?: number }>;
    status.catch(() => {});
    const proxy = flags["sig-proxy"] && !config.Tty ? forwardSignals(client, id, io) : undefined;
    const unfollow = config.Tty ? followTerminalSize(client, `/containers/${id}`, io) : undefined;
    const copy = copyStreams({ io, connection, stdin, tty: config.Tty, detachKeys: detachKeys.bytes });
    const end = await Promise.race(proxy === undefined ? [copy] : [copy, proxy.forced]).finally(() => {
      proxy?.end();
      unfollow?.();
    });
    // An error, unlike in `run`: so Docker has it.
    if (end === "detached") throw new ExitError(1, "read escape sequence");
    return (await status).StatusCode ?? 0;
  },
});

function refuseUnattachable({ State: state }: ContainerDocument): void {
  if (!state.Running) throw new ExitError(1, "You cannot attach to a stopped container, start it first");
  if (state.Paused) throw new ExitError(1, "You cannot attach to a paused container, unpause it first");
  if (state.Restarting) throw new ExitError(1, "You cannot attach to a restarting container, wait until it is running");
}
