import type { EngineClient } from "../../client/engine-client.ts";
import { hijack } from "../../client/hijack.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { readEnvironment } from "../../notation/environment.ts";
import { copyStreams } from "../../streams/copy-streams.ts";
import { followTerminalSize } from "../../streams/terminal-size.ts";
import { segment } from "../each.ts";
import { type DetachKeys, detachKeysOf, startStatus } from "./running.ts";

const NO_KEYS: DetachKeys = { text: "", bytes: [] };

export const exec = command({
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  args: atLeast(2),
  interspersed: false,
  flags: {
    detach: flag.bool("Do not wait for the command", { short: "d" }),
    "detach-keys": flag.string("Keys that detach from the command"),
    env: flag.list("Set an environment variable", { short: "e" }),
    "env-file": flag.list("Read environment variables from a file"),
    interactive: flag.bool("Keep stdin open", { short: "i" }),
    privileged: flag.bool("Give the command the powers of this machine"),
    tty: flag.bool("Give the command a terminal", { short: "t" }),
    user: flag.string("User or UID, and group or GID (user[:group])", { short: "u" }),
    workdir: flag.string("Working directory in the container", { short: "w" }),
  },
  examples: [["slipway exec -it web sh", "A shell in a running container"]],
  async run({ flags, args, session }) {
    const { io } = session;
    const [name = "", ...commandLine] = args;
    const attach = !flags.detach;
    const stdin = attach && flags.interactive;
    if (stdin && flags.tty && !io.stdin.isTerminal()) {
      throw new ExitError(1, "the input device is not a TTY", "Leave out -t when the input is a pipe or a file.");
    }
    const size = flags.tty && io.stdout.isTerminal() ? io.stdout.size() : undefined;
    const consoleSize = size === undefined || size.rows === 0 ? {} : { ConsoleSize: [size.rows, size.columns] };
    const detachKeys = flags.tty && attach ? await detachKeysOf(flags["detach-keys"], session) : NO_KEYS;
    const client = await session.client();
    const { Id: id } = await client.json<{ Id: string }>("POST", `/containers/${segment(name)}/exec`, {
      json: {
        User: flags.user,
        Privileged: flags.privileged,
        Tty: flags.tty,
        AttachStdin: stdin,
        AttachStdout: attach,
        AttachStderr: attach,
        DetachKeys: detachKeys.text,
        Env: await readEnvironment(flags["env-file"], flags.env, io.env),
        WorkingDir: flags.workdir,
        Cmd: commandLine,
        ...consoleSize,
      },
    });
    try {
      if (flags.detach) {
        await client.send("POST", `/exec/${id}/start`, { json: { Detach: true, Tty: flags.tty, ...consoleSize } });
        return 0;
      }
      const connection = await hijack(
        client,
        `/exec/${id}/start`,
        {},
        { Detach: false, Tty: flags.tty, ...consoleSize },
      );
      const unfollow = flags.tty ? followTerminalSize(client, `/exec/${id}`, io) : undefined;
      const end = await copyStreams({ io, connection, stdin, tty: flags.tty, detachKeys: detachKeys.bytes }).finally(
        unfollow,
      );
      // An error, unlike in `run`: so Docker has it.
      if (end === "detached") throw new ExitError(1, "read escape sequence");
      return await exitCode(client, id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const status = startStatus(error);
      throw new ExitError(status === 125 ? 1 : status, error.message);
    }
  },
});

async function exitCode(client: EngineClient, id: string): Promise<number> {
  const { ExitCode } = await client.json<{ ExitCode?: number | null }>("GET", `/exec/${id}/json`);
  return ExitCode ?? 0;
}
