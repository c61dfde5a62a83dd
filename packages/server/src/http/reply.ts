/** What a handler answers. The connection knows how each kind becomes bytes. */
export type Reply =
  | { readonly kind: "bytes"; readonly status: number; readonly headers: Headers; readonly body: Uint8Array }
  /** A body of unknown length, chunked. A failure in `run` cuts the connection, which tells the client that it is not whole. */
  | {
      readonly kind: "stream";
      readonly status: number;
      readonly headers: Headers;
      readonly run: (body: BodyWriter) => Promise<void>;
    }
  /** The connection leaves HTTP and becomes two streams of bytes (`101 UPGRADED`, or a bare 200 for old clients). */
  | {
      readonly kind: "hijack";
      readonly headers: Headers;
      /** The protocol that was agreed on; without it what Docker's clients call `tcp`. */
      readonly upgrade?: "websocket";
      readonly run: (stream: RawStream) => Promise<void>;
    };

export type Headers = Readonly<Record<string, string>>;

export interface BodyWriter {
  /** Resolves, or returns undefined, when it is time to write more. Rejects with `cancelled` when the client is gone. */
  write(data: Uint8Array | string): Promise<void> | undefined;
  /** Fires when the client is gone. */
  readonly signal: AbortSignal;
}

/** Both directions of a hijacked connection, each closed on its own. */
export interface RawStream extends BodyWriter {
  /** What the client sends, until it closes its write side. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the client's program has read what was written, or does not for a while. Not known over TCP and TLS. */
  taken(): Promise<void>;
}

export function json(status: number, value: unknown, headers: Headers = {}): Reply {
  // Go's encoder ends documents with a newline, and people who use curl like it too.
  return bytes(status, `${JSON.stringify(value)}\n`, { "Content-Type": "application/json", ...headers });
}

export function text(status: number, body: string, headers: Headers = {}): Reply {
  return bytes(status, body, { "Content-Type": "text/plain; charset=utf-8", ...headers });
}

export function empty(status: number, headers: Headers = {}): Reply {
  return bytes(status, "", headers);
}

export function bytes(status: number, body: string | Uint8Array, headers: Headers = {}): Reply {
  return { kind: "bytes", status, headers, body: typeof body === "string" ? Buffer.from(body) : body };
}

export function stream(contentType: string, run: (body: BodyWriter) => Promise<void>): Reply {
  return { kind: "stream", status: 200, headers: { "Content-Type": contentType }, run };
}

export function hijack(contentType: string, run: (stream: RawStream) => Promise<void>): Reply {
  return { kind: "hijack", headers: { "Content-Type": contentType }, run };
}
