// Run by testcontainers.interop.test.ts under Node, which then dies: Ryuk is to take away what it leaves behind.
import { GenericContainer, Network } from "testcontainers";

const network = await new Network().start();
const container = await new GenericContainer("alpine:3.20")
  .withCommand(["sleep", "600"])
  .withNetwork(network)
  .withLabels({ "left.behind": "yes" })
  .start();
console.log(`${container.getId()} ${network.getId()}`);
process.kill(process.pid, "SIGKILL");
