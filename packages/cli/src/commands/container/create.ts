import { DEFAULT_SOCKET } from "../../client/host.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { createContainer } from "./create-container.ts";
import { CREATE_FLAGS } from "./create-flags.ts";

export const create = command({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  args: atLeast(1),
  interspersed: false,
  flags: CREATE_FLAGS,
  examples: [["slipway create --name web -p 8080:80 nginx", "A container that start will run"]],
  async run({ flags, given, args, session }) {
    const [image = "", ...commandLine] = args;
    const client = await session.client();
    const input = {
      flags,
      given: (name: string) => given(name as never),
      image,
      command: commandLine,
      io: session.io,
      configDirectory: session.configDirectory,
      socket: client.host.kind === "unix" ? client.host.path : DEFAULT_SOCKET,
      proxies: (given: Iterable<string>) => session.proxies(given),
    };
    session.io.stdout.write(`${await createContainer(input, client, "create")}\n`);
    return 0;
  },
});
