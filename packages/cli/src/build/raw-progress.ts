import type { Output } from "../io.ts";
import type { Progress } from "./progress.ts";
import type { BuildLine } from "./wire.ts";

/** BuildKit's own JSON lines, which tools of others read. */
export class RawProgress implements Progress {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  line(line: BuildLine): void {
    const document = statusOf(line);
    if (document !== undefined) this.#output.write(`${JSON.stringify(document)}\n`);
  }

  end(): void {}
}

function statusOf(line: BuildLine): object | undefined {
  switch (line.type) {
    case "vertex":
      return {
        vertexes: [
          {
            digest: line.id,
            ...(line.inputs === undefined || line.inputs.length === 0 ? {} : { inputs: line.inputs }),
            name: line.name,
            ...(line.startedAt === undefined ? {} : { started: date(line.startedAt) }),
            ...(line.completedAt === undefined ? {} : { completed: date(line.completedAt) }),
            ...(line.state === "cached" ? { cached: true } : {}),
            ...(line.error === undefined ? {} : { error: line.error }),
            ...(line.reasons === undefined ? {} : { reasons: line.reasons }),
          },
        ],
      };
    case "log":
      return {
        logs: [
          {
            vertex: line.vertex,
            stream: line.stream === "stdout" ? 1 : 2,
            data: line.data,
            timestamp: date(line.time),
          },
        ],
      };
    case "status":
      return {
        statuses: [
          {
            id: line.id,
            vertex: line.vertex,
            current: line.current,
            ...(line.total === undefined ? {} : { total: line.total }),
            timestamp: date(line.time),
            ...(line.completed ? { completed: date(line.time) } : {}),
          },
        ],
      };
    case "warning":
      return { warnings: [{ short: Buffer.from(line.message).toString("base64") }] };
    default:
      return undefined;
  }
}

function date(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
