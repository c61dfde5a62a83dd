import { keyOfRegistry, RegistryCredentials } from "../../credentials/registry-credentials.ts";
import { atMost, command } from "../../grammar/command.ts";

export const logout = command({
  usage: "[SERVER]",
  args: atMost(1),
  flags: {},
  examples: [["slipway logout example.com", "Forget the login of a registry"]],
  async run({ args: [server = ""], session }) {
    const { io } = session;
    const key = keyOfRegistry(server);
    const erased = await new RegistryCredentials(session.configDirectory, io.env).erase(key);
    io.stdout.write(erased ? `Removing login credentials for ${key}\n` : `Not logged in to ${key}\n`);
    return 0;
  },
});
