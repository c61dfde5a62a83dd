type Environment = Readonly<Record<string, string | undefined>>;

/** The text of a file named on the command line. Throws an `Error` worded as Docker does. */
export async function readFileText(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await Bun.file(path).bytes());
  } catch (error) {
    if (error instanceof TypeError) throw new Error(`${path} contains invalid utf8 bytes`);
    const code = (error as { code?: unknown }).code;
    throw new Error(`open ${path}: ${code === "ENOENT" ? "no such file or directory" : (error as Error).message}`);
  }
}

/**
 * Environment of a container from files and flags, flags last. A name without `=` takes its value from our environment;
 * what is not set there is left out of files, and given to the engine from flags. Throws an `Error`.
 */
export async function readEnvironment(
  files: readonly string[],
  values: readonly string[],
  env: Environment,
): Promise<string[]> {
  const fromFiles = await Promise.all(files.map(async (path) => linesOf(await readFileText(path), path, env)));
  const fromFlags = values
    .flatMap((value) => withValue(value, env))
    .map((value) => [splitPair(value)[0], value] as const);
  // Of flags the last one counts; files are passed on as they are.
  return [...fromFiles.flat(), ...new Map(fromFlags).values()];
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
  // The engine takes the image's variable of that name away.
  return value === undefined ? [text] : [`${text}=${value}`];
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
