import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { listenAddress } from "./listen-address.ts";

export const serve = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    listen: flag.string("Address to listen at", { default: "127.0.0.1:5000", type: "host:port" }),
    storage: flag.string("Folder that keeps everything", { default: "/var/lib/slipway-registry" }),
  },
  examples: [["slipway registry serve", "A registry at localhost:5000, for this machine"]],
  async run({ flags, session }) {
    const { openRegistryStorage, RegistryServer } = await import("@slipway/registry");
    const { createLogger } = await import("@slipway/base");
    const { stderr } = session.io;
    const write = (line: string) => {
      stderr.write(`${line}\n`);
      // Lines that are written meanwhile go with it.
      void stderr.flush();
    };
    const log = createLogger({ level: "info", format: "text", write });
    const address = listenAddress(flags.listen);
    const storage = await openRegistryStorage(flags.storage);
    const server = await RegistryServer.start({ storage, log }, address);
    log.info("registry is ready", { address: `${address.hostname}:${server.port}`, storage: flags.storage });
    await new Promise<void>((resolve) => {
      session.io.onSignal("SIGTERM", resolve);
      session.io.onSignal("SIGINT", resolve);
    });
    await server.stop();
    return 0;
  },
});
