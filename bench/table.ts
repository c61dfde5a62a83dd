import type { Sample } from "./measure.ts";
import type { Row } from "./scenario.ts";

/** The report as a Markdown table: medians, the range, the ratio and the goal. */
export function table(rows: readonly Row[], ready: Sample | undefined): string {
  const lines = [
    "| scenario | Slipway | Docker | ratio | goal | reached |",
    "|---|---|---|---|---|---|",
    ...rows.map(line),
    ...(ready
      ? [`| daemon until it answers | ${show(ready, "ms")} | | | 150 ms | ${ready.median < 150 ? "yes" : "no"} |`]
      : []),
  ];
  return `${lines.join("\n")}\n\nMedian (smallest - largest). The ratio is of the medians.\n`;
}

function line({ scenario, samples }: Row): string {
  const [ours, theirs] = [samples.get("slipway"), samples.get("docker")];
  const ratio = ours && theirs ? ours.median / theirs.median : undefined;
  return `| ${[
    scenario.name,
    show(ours, scenario.unit),
    show(theirs, scenario.unit),
    ratio === undefined ? "" : ratio.toFixed(2),
    scenario.goal.toFixed(2),
    ratio === undefined ? "" : ratio <= scenario.goal ? "yes" : "no",
  ].join(" | ")} |`;
}

function show(sample: Sample | undefined, unit: string): string {
  if (sample === undefined) return "";
  const digits = sample.median < 100 ? 1 : 0;
  return `${sample.median.toFixed(digits)} ${unit} (${sample.min.toFixed(digits)} - ${sample.max.toFixed(digits)})`;
}
