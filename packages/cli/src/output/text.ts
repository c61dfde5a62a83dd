import { humanDuration } from "@slipway/base";

/** The first 12 digits of an ID, without its algorithm. */
export function truncateId(id: string): string {
  const colon = id.indexOf(":");
  return (colon < 0 ? id : id.slice(colon + 1)).slice(0, 12);
}

/** At most `length` characters, the last of them `…` when something was left out. */
export function ellipsis(text: string, length: number): string {
  if (text.length <= length) return text;
  const characters = [...text];
  if (characters.length <= length) return text;
  return length <= 1 ? characters.slice(0, length).join("") : `${characters.slice(0, length - 1).join("")}…`;
}

/** `3 hours ago`, of a moment in seconds. */
export function ago(seconds: number, now: number): string {
  return `${humanDuration(now - seconds * 1000)} ago`;
}

/** `a=1,b=2`, sorted. */
export function labelsText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\v": "\\v",
};

/** A value in quotation marks with Go's escapes, as `ps` shows commands. */
export function goQuote(text: string): string {
  const quoted = text.replace(/["\\\x00-\x1f\x7f]/g, (char) => {
    return GO_ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${quoted}"`;
}

/** The short form of an image's name: without `docker.io/` and `library/`. */
export function familiarName(name: string): string {
  const rest = name.startsWith("docker.io/") ? name.slice("docker.io/".length) : name;
  return rest.startsWith("library/") && !rest.slice("library/".length).includes("/")
    ? rest.slice("library/".length)
    : rest;
}

/** Splits `repository[:tag][@digest]` as it stands. */
export function splitReference(reference: string): { repository: string; tag?: string; digest?: string } {
  const at = reference.indexOf("@");
  const digest = at < 0 ? undefined : reference.slice(at + 1);
  const name = at < 0 ? reference : reference.slice(0, at);
  const colon = name.lastIndexOf(":");
  const hasTag = colon > name.lastIndexOf("/");
  return {
    repository: hasTag ? name.slice(0, colon) : name,
    ...(hasTag ? { tag: name.slice(colon + 1) } : {}),
    ...(digest === undefined ? {} : { digest }),
  };
}
