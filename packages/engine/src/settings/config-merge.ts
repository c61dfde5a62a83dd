import { SlipwayError } from "@slipway/base";
import type { Healthcheck, RunConfig } from "@slipway/oci";
import type { ContainerConfig } from "../faces.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The configuration of a container: what the user gave, and the image's for the rest, by Docker's rules. A command of the
 * user's keeps the image's entrypoint; an entrypoint of the user's drops the image's command. Throws `invalid` when nothing
 * is left to run.
 */
export function mergeConfig(user: ContainerConfig, image: RunConfig): ContainerConfig {
  const { Entrypoint: _, Cmd: __, ...own } = user;
  const merged: ContainerConfig = {
    ...own,
    ...mergeProcess(user, image),
    Env: mergeEnv(user.Env ?? [], image.Env ?? []),
    ...present("User", user.User || image.User),
    ...present("WorkingDir", user.WorkingDir || image.WorkingDir),
    ...present("StopSignal", user.StopSignal || image.StopSignal),
    ...present("ExposedPorts", mergeRecords(image.ExposedPorts, user.ExposedPorts)),
    ...present("Volumes", mergeRecords(image.Volumes, user.Volumes)),
    Labels: { ...image.Labels, ...user.Labels },
    ...present("Healthcheck", mergeHealthcheck(user.Healthcheck, image.Healthcheck)),
  };
  if ((merged.Entrypoint?.length ?? 0) + (merged.Cmd?.length ?? 0) === 0) {
    throw new SlipwayError("invalid", "no command specified", {
      hint: "The image names no command: give one after the image's name.",
    });
  }
  return merged;
}

function present<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V };
}

function mergeProcess(user: RunConfig, image: RunConfig): Pick<RunConfig, "Entrypoint" | "Cmd"> {
  const given = user.Entrypoint;
  // `--entrypoint ""` arrives as one empty string and means: none, not even the image's.
  const cleared = given?.length === 1 && given[0] === "";
  const entrypoint = cleared ? undefined : given;
  if (given !== undefined && (given.length > 0 || cleared)) {
    return { ...present("Entrypoint", entrypoint), ...present("Cmd", user.Cmd) };
  }
  const cmd = (user.Cmd?.length ?? 0) > 0 ? user.Cmd : image.Cmd;
  return { ...present("Entrypoint", given ?? image.Entrypoint), ...present("Cmd", cmd) };
}

/** The user's variables in their order, then those of the image that the user did not name. */
export function mergeEnv(user: readonly string[], image: readonly string[]): string[] {
  const named = new Set(user.map(envName));
  return [...user, ...image.filter((entry) => !named.has(envName(entry)))];
}

function envName(entry: string): string {
  const cut = entry.indexOf("=");
  return cut < 0 ? entry : entry.slice(0, cut);
}

/**
 * The environment of the container's process: the engine's defaults, replaced by the configuration. A bare name without `=`
 * takes a default away.
 */
export function processEnv(config: ContainerConfig, hostname: string): string[] {
  const variables = new Map<string, string>([["PATH", DEFAULT_PATH]]);
  if (hostname !== "") variables.set("HOSTNAME", hostname);
  if (config.Tty === true) variables.set("TERM", "xterm");
  for (const entry of config.Env ?? []) {
    const cut = entry.indexOf("=");
    if (cut < 0) variables.delete(entry);
    else variables.set(entry.slice(0, cut), entry.slice(cut + 1));
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function mergeRecords<T>(
  image: Readonly<Record<string, T>> | undefined,
  user: Readonly<Record<string, T>> | undefined,
): Readonly<Record<string, T>> | undefined {
  return image === undefined && user === undefined ? undefined : { ...image, ...user };
}

function mergeHealthcheck(user: Healthcheck | undefined, image: Healthcheck | undefined): Healthcheck | undefined {
  if (user === undefined || image === undefined) return user ?? image;
  const given = Object.entries(user).filter(([, value]) => (Array.isArray(value) ? value.length > 0 : value));
  return { ...image, ...Object.fromEntries(given) };
}

/** The path and the arguments that the container runs. */
export function commandOf(config: ContainerConfig): { readonly path: string; readonly args: readonly string[] } {
  const [path = "", ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return { path, args };
}
