import { SlipwayError } from "@slipway/base";

/** The largest request line and header block together, in bytes. Registry credentials travel in a header, so not too small. */
export const MAX_HEAD_BYTES = 256 * 1024;
const MAX_HEADERS = 200;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** How the length of a request's body is known (RFC 9112, section 6). */
export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" };

export interface RequestHead {
  readonly method: string;
  /** As it was sent: path and query. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  /** Lower-case names; repeated fields are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: BodyFraming;
  readonly keepAlive: boolean;
  /** The protocol of `Upgrade`, when `Connection` names it too. */
  readonly upgrade?: string;
  readonly expectsContinue: boolean;
}

/**
 * Reads the head of an HTTP/1.x request, without its empty line. Throws `invalid` for whatever could be understood in two
 * ways: two servers that disagree on where a request ends are how requests are smuggled.
 */
export function parseRequestHead(text: string): RequestHead {
  const lines = text.split("\r\n");
  const [method, target, minorVersion] = parseRequestLine(lines[0] ?? "");
  if (lines.length - 1 > MAX_HEADERS) throw invalid(`more than ${MAX_HEADERS} header fields`);
  const headers = parseHeaders(lines);
  if (minorVersion === 1 && !headers.has("host")) throw invalid("missing required Host header");
  const connection = tokens(headers.get("connection"));
  const upgrade = connection.includes("upgrade") ? headers.get("upgrade")?.toLowerCase() : undefined;
  return {
    method,
    target,
    minorVersion,
    headers,
    body: bodyFraming(headers, minorVersion),
    keepAlive: minorVersion === 1 ? !connection.includes("close") : connection.includes("keep-alive"),
    ...(upgrade !== undefined && { upgrade }),
    expectsContinue: headers.get("expect")?.toLowerCase() === "100-continue",
  };
}

function parseRequestLine(line: string): [method: string, target: string, minorVersion: 0 | 1] {
  const match = /^([A-Z]{1,20}) ([!-~]{1,65536}) HTTP\/(\d)\.(\d)$/.exec(line);
  if (match === null) throw invalid("malformed request line");
  const [, method = "", target = "", major, minor] = match;
  if (major !== "1" || (minor !== "0" && minor !== "1")) {
    throw new SlipwayError("not-implemented", `HTTP ${major}.${minor} is not spoken here, only 1.1`);
  }
  // A proxy's absolute form means the same as the path in it.
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "") || "/";
  if (!path.startsWith("/") && path !== "*") throw invalid("the request target is not a path");
  return [method, path, minor === "0" ? 0 : 1];
}

function parseHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const colon = line.indexOf(":");
    // A folded line or a space before the colon: refused, as RFC 9112 section 5 allows.
    const name = line.slice(0, Math.max(colon, 0));
    if (!TOKEN.test(name)) throw invalid("malformed header field");
    const value = line.slice(colon + 1).trim();
    if (/[\0\r\n]/.test(value)) throw invalid(`header ${name} has a control character`);
    const key = name.toLowerCase();
    const earlier = headers.get(key);
    if (earlier !== undefined && (key === "host" || key === "content-length" || key === "transfer-encoding")) {
      throw invalid(`header ${name} is given twice`);
    }
    headers.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return headers;
}

function bodyFraming(headers: ReadonlyMap<string, string>, minorVersion: 0 | 1): BodyFraming {
  const encoding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (encoding !== undefined) {
    if (length !== undefined) throw invalid("both Content-Length and Transfer-Encoding are given");
    if (minorVersion === 0 || encoding.toLowerCase() !== "chunked") {
      throw new SlipwayError("not-implemented", `unsupported transfer encoding '${encoding.slice(0, 100)}'`);
    }
    return { kind: "chunked" };
  }
  if (length === undefined) return { kind: "none" };
  if (!/^\d{1,15}$/.test(length)) throw invalid(`bad Content-Length '${length.slice(0, 100)}'`);
  return length === "0" ? { kind: "none" } : { kind: "length", length: Number(length) };
}

function tokens(value: string | undefined): string[] {
  return value === undefined
    ? []
    : value
        .toLowerCase()
        .split(",")
        .map((token) => token.trim());
}

function invalid(why: string): SlipwayError {
  return new SlipwayError("invalid", `bad request: ${why}`);
}
