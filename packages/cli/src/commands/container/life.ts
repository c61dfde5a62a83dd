import { ApiError, ExitError } from "../../errors.ts";
import { atLeast, command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { forEachName, segment } from "../each.ts";

const SEVERAL = "CONTAINER [CONTAINER...]";

export const kill = command({
  usage: `[OPTIONS] ${SEVERAL}`,
  args: atLeast(1),
  flags: { signal: flag.string("Signal to send", { short: "s" }) },
  examples: [["slipway kill -s HUP web", "Another signal than KILL: many servers read their settings again then"]],
  async run({ flags, args, session }) {
    const client = await session.client();
    return await forEachName(session, args, async (name) => {
      await client.send("POST", `/containers/${segment(name)}/kill`, { query: { signal: flags.signal || "KILL" } });
      return name;
    });
  },
});

const STOP_FLAGS = {
  signal: flag.string("Signal to send", { short: "s" }),
  timeout: flag.int("Seconds to wait before killing; -1 waits for ever", { short: "t" }),
  time: flag.int("Seconds to wait before killing", { hidden: true }),
} as const;

function stopping(verb: "stop" | "restart") {
  return command({
    usage: `[OPTIONS] ${SEVERAL}`,
    args: atLeast(1),
    flags: STOP_FLAGS,
    examples: [[`slipway ${verb} -t 30 web db`, "Give them half a minute to end by themselves"]],
    async run({ flags, given, args, session }) {
      if (given("time") && given("timeout")) {
        throw new ExitError(1, "conflicting options: cannot specify both --timeout and --time");
      }
      const t = given("timeout") ? flags.timeout : given("time") ? flags.time : undefined;
      const client = await session.client();
      return await forEachName(session, args, async (name) => {
        await client.send("POST", `/containers/${segment(name)}/${verb}`, {
          query: { signal: flags.signal || undefined, t },
        });
        return name;
      });
    },
  });
}

export const stop = stopping("stop");
export const restart = stopping("restart");

function simple(verb: "pause" | "unpause") {
  return command({
    usage: SEVERAL,
    args: atLeast(1),
    flags: {},
    examples: [
      [`slipway ${verb} web`, verb === "pause" ? "Nothing in it runs until unpause" : "It goes on where it stood"],
    ],
    async run({ args, session }) {
      const client = await session.client();
      return await forEachName(session, args, async (name) => {
        await client.send("POST", `/containers/${segment(name)}/${verb}`);
        return name;
      });
    },
  });
}

export const pause = simple("pause");
export const unpause = simple("unpause");

export const rename = command({
  usage: "CONTAINER NEW_NAME",
  args: exactly(2),
  flags: {},
  examples: [["slipway rename web web-old", "Another name, also while it runs"]],
  async run({ args: [from = "", to = ""], session }) {
    if (from.trim() === "" || to.trim() === "") throw new ExitError(1, "neither old nor new names may be empty");
    const client = await session.client();
    try {
      await client.send("POST", `/containers/${segment(from)}/rename`, { query: { name: to } });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ExitError(1, `${error.message}\nError: failed to rename container named ${from}`, error.hint);
    }
    return 0;
  },
});

export const rm = command({
  usage: `[OPTIONS] ${SEVERAL}`,
  args: atLeast(1),
  flags: {
    force: flag.bool("Remove it also when it runs: it is killed", { short: "f" }),
    link: flag.bool("Remove the link, not the container", { short: "l" }),
    volumes: flag.bool("Remove its anonymous volumes too", { short: "v" }),
  },
  examples: [["slipway rm -fv web", "With its anonymous volumes, also when it runs"]],
  async run({ flags, args, session }) {
    const client = await session.client();
    return await forEachName(session, args, async (name) => {
      const trimmed = name.replace(/^\/+|\/+$/g, "");
      if (trimmed === "") throw new ApiError(400, "container name cannot be empty");
      try {
        await client.send("DELETE", `/containers/${segment(trimmed)}`, {
          query: { force: flags.force, link: flags.link, v: flags.volumes },
        });
      } catch (error) {
        // With --force what is gone is gone; only the message is kept.
        if (!flags.force || !(error instanceof ApiError) || error.status !== 404) throw error;
        session.io.stderr.write(`${error.message}\n`);
        return undefined;
      }
      return name;
    });
  },
});

export const wait = command({
  usage: SEVERAL,
  args: atLeast(1),
  flags: {},
  examples: [["slipway wait job", "Until it ends; prints its exit code"]],
  async run({ args, session }) {
    const client = await session.client();
    return await forEachName(session, args, async (name) => {
      const result = await client.json<{ StatusCode: number }>("POST", `/containers/${segment(name)}/wait`);
      return String(result.StatusCode);
    });
  },
});
