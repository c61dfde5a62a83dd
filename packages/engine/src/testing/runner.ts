import type { StdioSession } from "@slipway/runtime";
import { containerOf, type Fixture } from "./engine-fixture.ts";

type Request = Parameters<typeof containerOf>;

export interface Run {
  readonly id: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const shell = (script: string): string[] => ["sh", "-c", script];

async function textOf(session: StdioSession): Promise<{ stdout: string; stderr: string }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, data } of session.output) parts[stream].push(data.slice());
  // Who stays attached is waited for.
  session.detach();
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

/** Runs containers of a fixture's engine as Docker's client does. */
export class Runner {
  readonly #fixture: () => Fixture;

  constructor(fixture: () => Fixture) {
    this.#fixture = fixture;
  }

  /** To the end: joined before the start. */
  async run(...request: Request): Promise<Run> {
    const { containers } = this.#fixture().engine;
    const { id } = await containers.create(containerOf(...request));
    const session = await containers.attach(id, { stdin: true, stdout: true, stderr: true });
    const text = textOf(session);
    session.closeStdin();
    const signal = new AbortController().signal;
    const ended = containers.wait(id, { condition: "next-exit", signal, registered: () => {} });
    await containers.start(id);
    return { id, exitCode: (await ended).exitCode, ...(await text) };
  }

  async up(...request: Request): Promise<string> {
    const { containers } = this.#fixture().engine;
    const { id } = await containers.create(containerOf(...request));
    await containers.start(id);
    return id;
  }

  /** Runs a script in a running container. */
  async exec(id: string, script: string): Promise<{ readonly exitCode: number; readonly stdout: string }> {
    const { execs } = this.#fixture().engine;
    const exec = await execs.create(id, { Cmd: shell(script), AttachStdout: true, AttachStderr: true });
    const session = await execs.start(exec, { detach: false });
    const { stdout } = session === undefined ? { stdout: "" } : await textOf(session);
    return { stdout, exitCode: (await execs.inspect(exec)).exitCode ?? -1 };
  }

  /** Removes all containers. */
  async clear(): Promise<void> {
    const { engine } = this.#fixture();
    for (const { container } of await engine.containers.list({ all: true, size: false, filters: {} })) {
      await engine.containers.remove(container.id, { force: true, volumes: true });
    }
    await engine.idle();
  }
}
