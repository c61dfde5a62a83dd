import { DEFAULT_SOCKET } from "../client/host.ts";
import type { Session } from "../session.ts";
import { findPlugin, pluginFolders, pluginNames } from "./find-plugins.ts";

/**
 * Runs the installed plug-in of a command, as Docker's client does: with the whole command line, global flags included.
 * Returns its exit code, or undefined when there is no such plug-in.
 */
export async function runPlugin(name: string, argv: readonly string[], session: Session): Promise<number | undefined> {
  const program = findPlugin(await foldersOf(session), name);
  if (program === undefined) return undefined;
  const child = Bun.spawn([program, ...argv], {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    env: { ...session.io.env, ...(await environmentOf(session)) },
  });
  // A terminal tells both of us; the plug-in decides when it has had enough. Signals to us alone are passed on.
  const ignored = session.io.onSignal("SIGINT", () => {});
  const passed = (["SIGTERM", "SIGHUP"] as const).map((signal) =>
    session.io.onSignal(signal, () => child.kill(signal)),
  );
  const code = await child.exited;
  for (const off of [ignored, ...passed]) off();
  return child.signalCode === null ? code : 128 + code;
}

/** The installed plug-ins with what each says of itself, for the help. One that answers nonsense is left out. */
export async function describePlugins(session: Session): Promise<{ name: string; summary: string }[]> {
  const folders = await foldersOf(session);
  const described = await Promise.all(
    pluginNames(folders).map(async (name) => {
      const program = findPlugin(folders, name);
      const summary = program === undefined ? undefined : await summaryOf(program);
      return summary === undefined ? [] : [{ name, summary }];
    }),
  );
  return described.flat();
}

/** Seconds that a plug-in has to tell what it is. */
const PATIENCE = 2;

async function summaryOf(program: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(PATIENCE * 1000);
    const child = Bun.spawn([program, "docker-cli-plugin-metadata"], { stdin: "ignore", stderr: "ignore", signal });
    const document: unknown = JSON.parse(await new Response(child.stdout).text());
    const { ShortDescription, Vendor } = document as { ShortDescription?: unknown; Vendor?: unknown };
    if (typeof Vendor !== "string") return undefined;
    return typeof ShortDescription === "string" ? ShortDescription : "";
  } catch {
    return undefined;
  }
}

async function foldersOf(session: Session): Promise<string[]> {
  const { cliPluginsExtraDirs } = await session.config();
  return pluginFolders(session.configDirectory, cliPluginsExtraDirs);
}

/** A plug-in looks for Docker's own socket unless it is told where the engine is; and the engine may have to be started. */
async function environmentOf(session: Session): Promise<Record<string, string>> {
  const own = { DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND: process.execPath };
  if (session.hostFlag !== "" || session.io.env.DOCKER_HOST || (await session.contextName()) !== "default") return own;
  const client = await session.client();
  await client.ping().catch(() => {});
  return { ...own, DOCKER_HOST: `unix://${DEFAULT_SOCKET}` };
}
