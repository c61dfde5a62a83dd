type Environment = Readonly<Record<string, string | undefined>>;

/** The text of a file named on the command line. Throws an `Error` worded as Docker does. */
export async function readFileText(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    throw new Error(`open ${path}: ${code === "ENOENT" ? "no such file or directory" : (error as Error).message}`);
  }
}

/**
 * Environment of a container from files and flags, flags last. A name without `=` takes its value from our environment,
 * and is left out when it is not set there. Throws an `Error`.
 */
export async function readEnvironment(
  files: readonly string[],
  values: readonly string[],
  env: Environment,
): Promise<string[]> {
  const fromFiles = await Promise.all(files.map(async (path) => linesOf(await readFileText(path), path, env)));
  return [...fromFiles.flat(), ...values.flatMap((value) => withValue(value, env))];
}

/** Labels from files and flags, flags last. */
export async function readLabels(files: readonly string[], values: readonly string[]): Promise<Record<string, string>> {
  const fromFiles = await Promise.all(files.map(async (path) => linesOf(await readFileText(path), path, undefined)));
  return pairs([...fromFiles.flat(), ...values]);
}

/** `a=1` as a key and its value; without `=` the value is empty. */
export function pairs(values: readonly string[]): Record<string, string> {
  return Object.fromEntries(values.map((value) => splitPair(value)));
}

export function splitPair(value: string): [name: string, value: string] {
  const at = value.indexOf("=");
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}

function withValue(text: string, env: Environment): string[] {
  if (text === "" || text.startsWith("=")) throw new Error(`invalid environment variable: ${text}`);
  if (text.includes("=")) return [text];
  const value = env[text];
  return value === undefined ? [] : [`${text}=${value}`];
}

function linesOf(text: string, path: string, env: Environment | undefined): string[] {
  const lines: string[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const [name] = splitPair(line);
    if (/\s/.test(name)) {
      throw new Error(`invalid env file (${path}): line ${index + 1}: variable '${name}' contains whitespaces`);
    }
    if (name === "")
      throw new Error(`invalid env file (${path}): line ${index + 1}: no variable name on line '${line}'`);
    if (line.includes("=")) lines.push(line);
    else if (env === undefined) lines.push(line);
    else if (env[name] !== undefined) lines.push(`${name}=${env[name]}`);
  }
  return lines;
}
