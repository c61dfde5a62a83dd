/** Prints a page, waiting up to ten seconds for its server to come up. */
import { connect } from "node:net";

const url = new URL(process.argv[2] ?? "");
const deadline = AbortSignal.timeout(10_000);

while (!(await listening())) {
  if (deadline.aborted) {
    console.error(`${url} does not answer`);
    process.exit(1);
  }
  await Bun.sleep(20);
}
process.stdout.write(await (await fetch(url, { signal: deadline })).text());

function listening(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
