const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300];

interface Series {
  count: number;
  seconds: number;
  bytes: number;
  readonly buckets: number[];
}

/** Counts of requests in the text form of Prometheus. Labels come from fixed sets, never from a client. */
export class Metrics {
  readonly #series = new Map<string, Series>();
  readonly #gauges: readonly Gauge[];
  #inFlight = 0;

  constructor(gauges: readonly Gauge[]) {
    this.#gauges = gauges;
  }

  begin(): void {
    this.#inFlight++;
  }

  end(
    labels: { readonly route: string; readonly method: string; readonly status: number },
    seconds: number,
    bytes: number,
  ) {
    this.#inFlight--;
    const method = METHODS.has(labels.method) ? labels.method : "other";
    const key = `method="${method}",route="${labels.route}",status="${labels.status}"`;
    const series = this.#series.get(key) ?? { count: 0, seconds: 0, bytes: 0, buckets: BUCKETS.map(() => 0) };
    this.#series.set(key, series);
    series.count++;
    series.seconds += seconds;
    series.bytes += bytes;
    const bucket = BUCKETS.findIndex((limit) => seconds <= limit);
    if (bucket >= 0) series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
  }

  /** Text format 0.0.4. */
  render(): string {
    const lines = [
      "# HELP slipway_registry_request_seconds Time until an answer began.",
      "# TYPE slipway_registry_request_seconds histogram",
    ];
    for (const [key, series] of this.#series) {
      let sum = 0;
      for (const [at, limit] of BUCKETS.entries()) {
        sum += series.buckets[at] ?? 0;
        lines.push(`slipway_registry_request_seconds_bucket{${key},le="${limit}"} ${sum}`);
      }
      lines.push(`slipway_registry_request_seconds_bucket{${key},le="+Inf"} ${series.count}`);
      lines.push(`slipway_registry_request_seconds_sum{${key}} ${series.seconds}`);
      lines.push(`slipway_registry_request_seconds_count{${key}} ${series.count}`);
    }
    lines.push("# HELP slipway_registry_sent_bytes_total Bytes of bodies that were answered.");
    lines.push("# TYPE slipway_registry_sent_bytes_total counter");
    for (const [key, { bytes }] of this.#series) lines.push(`slipway_registry_sent_bytes_total{${key}} ${bytes}`);
    const gauges: readonly Gauge[] = [
      ...this.#gauges,
      {
        name: "requests_in_flight",
        help: "Requests that have not been answered yet.",
        type: "gauge",
        read: () => this.#inFlight,
      },
    ];
    for (const { name, help, type, read } of gauges) {
      lines.push(`# HELP slipway_registry_${name} ${help}`, `# TYPE slipway_registry_${name} ${type}`);
      lines.push(`slipway_registry_${name} ${read()}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  read(): number;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
