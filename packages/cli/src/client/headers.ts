import { ExitError } from "../errors.ts";
import { splitCsv } from "../grammar/values.ts";

type Headers = Readonly<Record<string, string>>;

const VARIABLE = "DOCKER_CUSTOM_HEADERS";

/** Headers of each request: those of the environment, else those of `config.json`. Ours says who we are. Throws `ExitError`. */
export function customHeaders(
  fromFile: Headers | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Headers {
  const text = env[VARIABLE];
  const headers = text ? fromVariable(text) : fromFile;
  const entries = Object.entries(headers ?? {}).filter(([name]) => name.toLowerCase() !== "user-agent");
  for (const [name, value] of entries) {
    // A line feed in a value would begin another header, or another request.
    if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && !/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) continue;
    const where = text ? VARIABLE : "HttpHeaders of config.json";
    throw new ExitError(1, `${where}: ${JSON.stringify(name)} cannot be sent as a header`);
  }
  return Object.fromEntries(entries);
}

function fromVariable(text: string): Headers {
  try {
    return Object.fromEntries(
      splitCsv(text).map((pair): [string, string] => {
        const at = pair.indexOf("=");
        if (at < 0) throw new Error(`missing "=" in key=value pair: '${pair}'`);
        const name = pair.slice(0, at).trim();
        if (name === "") throw new Error(`no header's name before "=": '${pair}'`);
        return [name, pair.slice(at + 1)];
      }),
    );
  } catch (error) {
    throw new ExitError(
      1,
      `failed to set custom headers from ${VARIABLE} environment variable: ${(error as Error).message}`,
      `Write ${VARIABLE}=NAME=VALUE,OTHER=VALUE`,
    );
  }
}
