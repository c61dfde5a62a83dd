import type { Engine } from "./engines.ts";
import type { Sample } from "./measure.ts";

/** One row of the table: the same work done by each engine. */
export interface Scenario {
  readonly name: string;
  readonly unit: "ms" | "MiB" | "KiB";
  /** Our figure divided by Docker's that we want to reach at most. */
  readonly goal: number;
  readonly rounds: number;
  /** Makes what the measurement needs, once an engine; returns the measurement of one round. */
  prepare(engine: Engine, workspace: string): Promise<() => Promise<number>>;
  /** Takes away what would disturb later scenarios. */
  clean?(engine: Engine): Promise<void>;
}

export interface Row {
  readonly scenario: Scenario;
  readonly samples: ReadonlyMap<string, Sample>;
}
