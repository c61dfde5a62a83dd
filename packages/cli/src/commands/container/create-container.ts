import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { pullImage } from "../image/pull-image.ts";
import { imageLogin } from "../registry/registry-access.ts";
import { type CreateInput, createRequest } from "./create-request.ts";

/** An error of `run`, or of how a container is described: exit code 125 unless the process itself is to blame. */
export function runError(message: string, { status = 125, hint, verb = "run" }: RunErrorOptions = {}): ExitError {
  const advice = hint === undefined ? "" : `${hint}\n`;
  return new ExitError(status, `slipway: ${message}`, `${advice}\nRun 'slipway ${verb} --help' for more information`);
}

export interface RunErrorOptions {
  readonly status?: number;
  readonly hint?: string | undefined;
  readonly verb?: "run" | "create";
}

const WINDOWS_ONLY = ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"];

/** Creates the container, pulling the image first when it is missing. Returns its ID. Throws `ExitError`, `ApiError`. */
export async function createContainer(
  input: CreateInput,
  client: EngineClient,
  verb: "run" | "create",
): Promise<string> {
  const { flags } = input;
  const windows = WINDOWS_ONLY.find((name) => input.given(name));
  if (windows !== undefined) {
    throw new ExitError(1, `--${windows} requires an engine on Windows, but this one runs on Linux`);
  }
  const idFile = openIdFile(flags.cidfile, verb);
  try {
    const id = await requestContainer(input, client, verb);
    idFile.write(id);
    return id;
  } catch (error) {
    idFile.discard();
    throw error;
  }
}

async function requestContainer(input: CreateInput, client: EngineClient, verb: "run" | "create"): Promise<string> {
  const { flags, io } = input;
  const body = await buildBody(input, verb);
  const platform = flags.platform || io.env.DOCKER_DEFAULT_PLATFORM;
  const pull = async () => {
    const headers = await imageLogin(input, input.image);
    await pullImage({
      client,
      reference: input.image,
      platform,
      quiet: flags.quiet,
      output: io.stderr,
      env: io.env,
      headers,
    });
  };
  const create = () =>
    client.json<{ Id: string; Warnings?: readonly string[] | null }>("POST", "/containers/create", {
      query: { name: flags.name || undefined, platform: platform || undefined },
      json: body,
    });
  if (flags.pull === "always") await pull();
  const { Id, Warnings } = await create().catch(async (error: unknown) => {
    if (flags.pull !== "missing" || !isMissingImage(error, input.image)) throw error;
    if (!flags.quiet) io.stderr.write(`Unable to find image '${withTag(input.image)}' locally\n`);
    await pull();
    return await create();
  });
  for (const warning of Warnings ?? []) io.stderr.write(`WARNING: ${warning}\n`);
  return Id;
}

async function buildBody(input: CreateInput, verb: "run" | "create"): Promise<Record<string, unknown>> {
  try {
    return await createRequest(input);
  } catch (error) {
    throw runError(error instanceof Error ? error.message : String(error), { verb });
  }
}

/** The file of `--cidfile` is made before the container, so that no container is made whose ID cannot be written. */
function openIdFile(path: string, verb: "run" | "create"): { write(id: string): void; discard(): void } {
  if (path === "") return { write: () => {}, discard: () => {} };
  const status = verb === "create" ? 1 : 125;
  const { rmSync, writeFileSync } = process.getBuiltinModule("node:fs");
  try {
    writeFileSync(path, "", { flag: "wx" });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") {
      throw runError(`failed to create the container ID file: ${(error as Error).message}`, { verb, status });
    }
    throw runError(`container ID file found, make sure the other container isn't running or delete ${path}`, {
      verb,
      status,
    });
  }
  return { write: (id) => writeFileSync(path, id), discard: () => rmSync(path, { force: true }) };
}

function isMissingImage(error: unknown, image: string): boolean {
  return error instanceof ApiError && error.status === 404 && /no such image/i.test(error.reason) && image !== "";
}

function withTag(image: string): string {
  const last = image.slice(image.lastIndexOf("/") + 1);
  return last.includes(":") || image.includes("@") || /^(sha256:)?[0-9a-f]{64}$/.test(image)
    ? image
    : `${image}:latest`;
}
