import type { Headers } from "./reply.ts";

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  413: "Content Too Large",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

/** Chunks at most this large are sent as one piece; copying more costs more than two further writes. */
const COPY_LIMIT = 32 * 1024;
const LINE_END = Buffer.from("\r\n");
export const LAST_CHUNK = Buffer.from("0\r\n\r\n");

export function reasonOf(status: number): string {
  return REASONS[status] ?? "Unknown";
}

export function encodeHead(statusLine: string, headers: Headers): Uint8Array {
  let head = `${statusLine}\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  return Buffer.from(`${head}\r\n`, "latin1");
}

/** The pieces of one chunk (RFC 9112, section 7.1). */
export function encodeChunk(data: Uint8Array): Uint8Array[] {
  const size = Buffer.from(`${data.length.toString(16)}\r\n`, "latin1");
  return data.length <= COPY_LIMIT ? [Buffer.concat([size, data, LINE_END])] : [size, data, LINE_END];
}
