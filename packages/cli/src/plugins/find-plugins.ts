import { accessSync, constants, readdirSync } from "node:fs";
import { join } from "node:path";

/** What Docker's client calls the programs that add commands to it. */
const PREFIX = "docker-";

/** Where packages put them; the user's own folders come first. */
const SYSTEM_FOLDERS = [
  "/usr/local/lib/docker/cli-plugins",
  "/usr/local/libexec/docker/cli-plugins",
  "/usr/lib/docker/cli-plugins",
  "/usr/libexec/docker/cli-plugins",
];

export function pluginFolders(configDirectory: string, extra: readonly string[] = []): string[] {
  return [join(configDirectory, "cli-plugins"), ...extra, ...SYSTEM_FOLDERS];
}

/** The program of a command, from the first folder that has it. */
export function findPlugin(folders: readonly string[], name: string): string | undefined {
  // The name is a word of a command line: it must not lead to another folder.
  if (!isPluginName(name)) return undefined;
  return folders.map((folder) => join(folder, PREFIX + name)).find(isExecutable);
}

/** Names of all commands that plug-ins add, each once. */
export function pluginNames(folders: readonly string[]): string[] {
  const names = folders.flatMap((folder) =>
    entriesOf(folder).flatMap((file) => {
      const name = file.slice(PREFIX.length);
      return file.startsWith(PREFIX) && isPluginName(name) && isExecutable(join(folder, file)) ? [name] : [];
    }),
  );
  return [...new Set(names)].sort();
}

function isPluginName(name: string): boolean {
  return /^[a-z][a-z0-9]*$/.test(name);
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
