import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { kill } from "@slipway/sys";
import { writeSpec } from "./config-file.ts";
import type { StepRequest } from "./faces.ts";
import { Runc, readPidFile } from "./runc.ts";
import { buildSpec } from "./spec.ts";

export interface StepResult {
  /** 0-255; 128 + signal when a signal ended it. */
  readonly exitCode: number;
}

/** Milliseconds that a runtime gets to make a container far enough that it can be killed as a whole. */
const CREATE_DEADLINE = 10_000;

/**
 * Runs a container to its end as our own child and hands its output on. Everything the runtime keeps of it lies in the
 * bundle (best on a tmpfs) and is gone at the end, also after a failure or a cancellation.
 *
 * Throws `cancelled` once every process of a cancelled step has ended; `invalid` with `details.exitCode` 126 or 127 when
 * the program cannot be started; `internal` for other failures of the runtime.
 */
export async function runStep(request: StepRequest): Promise<StepResult> {
  request.signal?.throwIfAborted();
  const { bundle } = request;
  const runc = new Runc(join(bundle, "state"), stepRuntime());
  const [logPath, pidPath] = [join(bundle, "runtime.log"), join(bundle, "pid")];
  writeSpec(bundle, buildSpec(request.spec));
  const child = runc.spawn(logPath, ["run", "--bundle", bundle, "--pid-file", pidPath, request.spec.id], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const cancel = () => void killContainer(pidPath, child);
  request.signal?.addEventListener("abort", cancel, { once: true });
  try {
    const held: Uint8Array[] = [];
    const [exitCode] = await Promise.all([
      child.exited,
      forward(child.stdout, (data) => request.onOutput("stdout", data)),
      forward(child.stderr, (data) => {
        if (isRuntimeSpeaking(data)) held.push(data);
        else request.onOutput("stderr", data);
      }),
    ]);
    if (request.signal?.aborted)
      throw new SlipwayError("cancelled", "the step was cancelled", { cause: request.signal.reason });
    const failure = exitCode === 0 ? undefined : runc.loggedFailure(logPath, "run");
    if (failure !== undefined) throw failure;
    for (const data of held) request.onOutput("stderr", data);
    return { exitCode };
  } finally {
    request.signal?.removeEventListener("abort", cancel);
    // A runtime that ended by itself has removed its state; one that was killed has not.
    if (child.signalCode !== null) await removeStep(bundle);
  }
}

/**
 * Ends what crashed steps left in a directory of bundles (each a directory in it): their processes, cgroups and files.
 * For the start of a daemon, before any step runs.
 */
export async function removeSteps(bundles: string): Promise<void> {
  let names: string[];
  try {
    names = readdirSync(bundles);
  } catch {
    return;
  }
  for (const name of names) {
    const bundle = join(bundles, name);
    await removeStep(bundle);
    rmSync(bundle, { recursive: true, force: true });
  }
}

async function removeStep(bundle: string): Promise<void> {
  const state = join(bundle, "state");
  let ids: string[];
  try {
    ids = readdirSync(state);
  } catch {
    return;
  }
  const runc = new Runc(state, stepRuntime());
  // A failure here has no caller who could act on it; the next start tries again.
  for (const id of ids) await runc.run(join(bundle, "delete.log"), ["delete", "--force", id]).catch(() => {});
}

/** Kills the first process, which takes the whole pid namespace with it; the runtime then cleans up and ends by itself. */
async function killContainer(pidPath: string, child: Bun.Subprocess): Promise<void> {
  const deadline = performance.now() + CREATE_DEADLINE;
  while (child.exitCode === null && child.signalCode === null) {
    const pid = readPidFile(pidPath);
    if (pid !== undefined) {
      kill(pid, "KILL");
      return;
    }
    if (performance.now() > deadline) {
      child.kill("SIGKILL");
      return;
    }
    await Bun.sleep(2);
  }
}

async function forward(stream: ReadableStream<Uint8Array>, onData: (data: Uint8Array) => void): Promise<void> {
  for await (const data of stream) onData(data);
}

const RUNTIME_PREFIX = Buffer.from("runc run failed: ");

/** The runtime says on stderr what it also logs; that is no output of the step. */
function isRuntimeSpeaking(data: Uint8Array): boolean {
  return data.length > RUNTIME_PREFIX.length && RUNTIME_PREFIX.equals(data.subarray(0, RUNTIME_PREFIX.length));
}

let runtimePath: string | undefined;

/** Looked up once: a step must not pay for a search of the PATH. */
function stepRuntime(): string {
  return (runtimePath ??= new Runc("/").program);
}

/** Makes an empty bundle directory, readable by root alone. */
export function makeBundle(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}
