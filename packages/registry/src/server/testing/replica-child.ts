/** One replica of a registry over the storage in its first argument; prints its port. For tests that kill it. */
import { silentLogger } from "@slipway/base";
import { RegistryServer } from "../serve.ts";
import { openRegistryStorage } from "../storage/open.ts";

const storage = await openRegistryStorage(process.argv[2] ?? "", { exclusive: true });
const options = { storage, log: silentLogger, limits: { grace: 2000 }, collectEvery: 500 };
const server = await RegistryServer.start(options, { hostname: "127.0.0.1", port: 0 });
process.stdout.write(`${server.port}\n`);
