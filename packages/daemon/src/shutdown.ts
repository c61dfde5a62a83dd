import type { Logger } from "@slipway/base";

/** Resolves with the first signal that asks the daemon to end. A second one ends it at once, whatever it is doing. */
export function shutdownSignal(log: Logger): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) {
        log.warn("second signal: ending without tidying up", { signal });
        process.exit(130);
      }
      asked = true;
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
