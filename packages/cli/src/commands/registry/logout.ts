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
    io.stdout.write(`Removing login credentials for ${key}\n`);
    await new RegistryCredentials(session.configDirectory, io.env).erase(key);
    return 0;
  },
});
