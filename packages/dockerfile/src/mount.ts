import { isError, nearest, parseSize, SlipwayError } from "@slipway/base";
import { baseName, cleanPath } from "./clean-path.ts";
import type { MountFlag, RunMount } from "./instructions.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
type MountType = (typeof TYPES)[number];

const SHARING = ["shared", "private", "locked"] as const;

/** Every key with the name that it is known by. */
const KEYS: Readonly<Record<string, string>> = {
  type: "type",
  from: "from",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  readwrite: "readwrite",
  rw: "readwrite",
  id: "id",
  sharing: "sharing",
  required: "required",
  size: "size",
  mode: "mode",
  uid: "uid",
  gid: "gid",
  env: "env",
};

/** The keys that only some types take; the rest are for all. */
const ONLY_FOR: Readonly<Record<string, readonly MountType[]>> = {
  required: ["secret", "ssh"],
  size: ["tmpfs"],
  sharing: ["cache"],
  env: ["secret"],
  mode: ["secret", "ssh", "cache"],
  uid: ["secret", "ssh", "cache"],
  gid: ["secret", "ssh", "cache"],
};

const WITHOUT_VALUE = new Set(["readonly", "readwrite", "required"]);

/** Options as text, by the names of `KEYS`. */
type Options = ReadonlyMap<string, string>;

/** The options of a mount with their variables expanded by `expandValue`. Throws `invalid` with `details.source`. */
export function resolveMount(mount: MountFlag, expandValue: (value: string) => string): RunMount {
  try {
    return build(readOptions(mount.text, expandValue));
  } catch (error) {
    if (!isError(error, "invalid")) throw error;
    throw new SlipwayError("invalid", `--mount=${mount.text}: ${error.message}`, {
      cause: error,
      details: { ...error.details, source: mount.range },
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/**
 * What can be said before variables have values: unknown keys, a variable in `from`, and, when there is no variable at
 * all, everything. Returns `from`. Throws `invalid` without a place.
 */
export function checkMount(text: string): string | undefined {
  if (!text.includes("$")) {
    const mount = build(readOptions(text, (value) => value));
    return "from" in mount ? mount.from : undefined;
  }
  return readOptions(text, (value) => value).get("from");
}

function readOptions(text: string, expandValue: (value: string) => string): Options {
  const options = new Map<string, string>();
  for (const field of csvFields(text)) {
    const equals = field.indexOf("=");
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = Object.hasOwn(KEYS, written) ? KEYS[written] : undefined;
    if (key === undefined) throw unknownKey(written, field);
    if (equals < 0 && !WITHOUT_VALUE.has(key)) {
      throw new SlipwayError("invalid", `invalid field '${field}' must be a key=value pair`, {
        hint: `Write ${written}=value.`,
      });
    }
    const raw = equals < 0 ? "true" : field.slice(equals + 1);
    if (key === "from" && raw.includes("$")) {
      throw new SlipwayError("invalid", "'from' doesn't support variable expansion", {
        hint: "Define a stage with the variable (FROM $image AS name) and use its name.",
      });
    }
    if (key === "readwrite") options.set("readonly", String(!boolean(expandValue(raw), written)));
    else options.set(key, key === "from" ? raw : expandValue(raw));
  }
  return options;
}

/** Comma separated, where `"a,b"` is one field and `""` in it a quote (RFC 4180). */
function csvFields(text: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index] ?? "";
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[index + 1] === '"') field += text[++index] ?? "";
      else quoted = false;
    } else if (char === '"' && field === "") quoted = true;
    else if (char === ",") {
      fields.push(field);
      field = "";
    } else field += char;
  }
  if (quoted) throw new SlipwayError("invalid", "a double quote is not closed");
  return [...fields, field];
}

function unknownKey(key: string, field: string): SlipwayError {
  const near = nearest(key, Object.keys(KEYS));
  return new SlipwayError("invalid", `unexpected key '${key}' in '${field}'`, {
    hint: near === undefined ? `Keys are ${Object.keys(KEYS).join(", ")}.` : `Did you mean ${near}?`,
  });
}

function build(options: Options): RunMount {
  const type = mountType(options.get("type"));
  for (const key of options.keys()) {
    const types = ONLY_FOR[key];
    if (types && !types.includes(type)) {
      throw new SlipwayError("invalid", `unexpected key '${key}' for mount type '${type}'`, {
        hint: `${key} is for ${types.join(", ")} mounts.`,
      });
    }
  }
  switch (type) {
    case "bind":
      return { ...origin(options), type, target: target(options, type), readonly: flag(options, "readonly", true) };
    case "cache":
      return cacheMount(options);
    case "tmpfs": {
      const size = options.get("size");
      return { type, target: target(options, type), ...(size === undefined ? {} : { size: parseSize(size) }) };
    }
    case "secret":
      return secretMount(options);
    case "ssh":
      return {
        type,
        id: options.get("id") || "default",
        ...optional("target", options.get("target")),
        required: flag(options, "required", false),
        ...ownership(options, 0o600),
      };
  }
}

function cacheMount(options: Options): RunMount {
  const path = target(options, "cache");
  const sharing = (options.get("sharing") ?? "shared").toLowerCase();
  const known = SHARING.find((value) => value === sharing);
  if (known === undefined) {
    const near = nearest(sharing, SHARING);
    throw new SlipwayError("invalid", `unsupported sharing value '${sharing}'`, {
      hint: near === undefined ? "Use shared, private or locked." : `Did you mean ${near}?`,
    });
  }
  return {
    ...origin(options),
    type: "cache",
    target: path,
    id: options.get("id") || cleanPath(path),
    sharing: known,
    readonly: flag(options, "readonly", false),
    ...ownership(options, 0o755),
  };
}

function secretMount(options: Options): RunMount {
  if (options.has("from")) throw new SlipwayError("invalid", "secret mount should not have a from");
  const id = options.get("id");
  const source = options.get("source");
  if (id && source) {
    throw new SlipwayError("invalid", "both source and id can't be set", { hint: "Keep id; source is an older name." });
  }
  const path = options.get("target") || undefined;
  const named = id || source || (path === undefined ? undefined : baseName(path));
  if (named === undefined) {
    throw new SlipwayError("invalid", "a secret mount needs an id", {
      hint: "Write type=secret,id=NAME and give the secret with --secret id=NAME,src=FILE.",
    });
  }
  const env = options.get("env") || undefined;
  const file = path ?? (env === undefined ? `/run/secrets/${baseName(named)}` : undefined);
  return {
    type: "secret",
    id: named,
    ...optional("target", file),
    ...optional("env", env),
    required: flag(options, "required", false),
    ...ownership(options, 0o400),
  };
}

function mountType(text: string | undefined): MountType {
  const wanted = (text ?? "bind").toLowerCase();
  const type = TYPES.find((known) => known === wanted);
  if (type !== undefined) return type;
  const near = nearest(wanted, TYPES);
  throw new SlipwayError("invalid", `unsupported mount type '${wanted}'`, {
    hint: near === undefined ? `Types are ${TYPES.join(", ")}.` : `Did you mean ${near}?`,
  });
}

function target(options: Options, type: MountType): string {
  // A bind mount without one goes over the working directory; for the others that is never meant.
  const path = options.get("target") || (type === "bind" ? "." : "");
  if (path !== "" && cleanPath(path) !== "/") return path;
  throw new SlipwayError("invalid", path === "" ? `a ${type} mount needs a target` : `invalid mount target '${path}'`, {
    hint: "Write target=PATH, a directory other than /.",
  });
}

function origin(options: Options): { readonly source: string; readonly from?: string } {
  return { source: options.get("source") || "/", ...optional("from", options.get("from") || undefined) };
}

function ownership(options: Options, mode: number): { mode: number; uid: number; gid: number } {
  const digits = options.get("mode");
  if (digits !== undefined && !/^[0-7]{1,5}$/.test(digits)) {
    throw new SlipwayError("invalid", `invalid value '${digits}' for mode`, {
      hint: "Write an octal mode, like 0600.",
    });
  }
  return {
    mode: digits === undefined ? mode : Number.parseInt(digits, 8),
    uid: userNumber(options, "uid"),
    gid: userNumber(options, "gid"),
  };
}

function userNumber(options: Options, key: "uid" | "gid"): number {
  const text = options.get(key) ?? "0";
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new SlipwayError("invalid", `invalid value '${text}' for ${key}`, {
    hint: "Write a number; names are not known here.",
  });
}

function flag(options: Options, key: string, otherwise: boolean): boolean {
  const text = options.get(key);
  return text === undefined ? otherwise : boolean(text, key);
}

function boolean(text: string, key: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new SlipwayError("invalid", `invalid value for ${key}: '${text}'`, { hint: "Write true or false." });
}

function optional<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}
