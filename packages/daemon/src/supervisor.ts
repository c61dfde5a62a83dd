import { type Logger, SlipwayError } from "@slipway/base";
import type { Supervisor } from "@slipway/runtime";
import type { DaemonConfig } from "./config.ts";

/** The supervisor's client. Until the runtime has one, nothing can be run, and that is what it says. */
export function supervisorOf(_config: DaemonConfig, _log: Logger): Supervisor {
  const refuse = async (): Promise<never> => {
    throw new SlipwayError("not-implemented", "containers cannot be run yet: there is no supervisor");
  };
  return {
    start: refuse,
    exec: refuse,
    attach: refuse,
    signal: refuse,
    resize: refuse,
    pause: refuse,
    resume: refuse,
    delete: refuse,
    onExit: () => {},
    close: async () => {},
    state: async () => ({ running: [], exits: [] }),
  };
}
