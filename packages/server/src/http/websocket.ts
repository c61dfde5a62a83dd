import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { RawStream, Reply } from "./reply.ts";
import type { RequestHead } from "./request-head.ts";
import { encodeClose, encodeFrame, FrameError, FrameParser, NORMAL_CLOSURE } from "./websocket-frames.ts";

/** RFC 6455, section 1.3. */
const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * Takes a connection over as a websocket (RFC 6455); `run` sees bytes only, and its end closes the websocket. Throws `invalid`
 * for a request that asks for none. With `text` the server's frames are text, which old clients expect.
 */
export function webSocket(
  head: RequestHead,
  options: { readonly text: boolean },
  run: (stream: RawStream) => Promise<void>,
): Reply {
  const accept = acceptKey(head);
  return {
    kind: "hijack",
    upgrade: "websocket",
    headers: { "Sec-WebSocket-Accept": accept },
    run: async (raw) => {
      let closing = NORMAL_CLOSURE;
      const stream: RawStream = {
        signal: raw.signal,
        input: readMessages(raw, (code) => {
          closing = code;
        }),
        write: writer(raw, options.text),
        taken: () => raw.taken(),
      };
      await run(stream);
      await raw.write(encodeClose(closing));
    },
  };
}

/** Throws `invalid` for a request that is no websocket handshake. */
export function checkHandshake(head: RequestHead): void {
  acceptKey(head);
}

function acceptKey(head: RequestHead): string {
  const key = head.headers.get("sec-websocket-key");
  if (head.upgrade !== "websocket" || key === undefined || Buffer.from(key, "base64").length !== 16) {
    throw new SlipwayError("invalid", "bad request: this is not a websocket handshake", {
      hint: "Send Connection: Upgrade, Upgrade: websocket and Sec-WebSocket-Key.",
    });
  }
  const version = head.headers.get("sec-websocket-version");
  if (version !== "13") {
    throw new SlipwayError("invalid", `bad request: websocket version ${version?.slice(0, 20)} is not 13`);
  }
  return createHash("sha1")
    .update(key + HANDSHAKE_GUID)
    .digest("base64");
}

/** The data of all messages one after the other, until the client closes. Pings are answered when they are read. */
async function* readMessages(raw: RawStream, onClose: (code: number) => void): AsyncGenerator<Uint8Array> {
  const parser = new FrameParser();
  try {
    for await (const chunk of raw.input) {
      for (const event of parser.push(chunk)) {
        if (event.kind === "data") yield event.data;
        // Waited for: a client that pings and does not read must not fill our memory with answers.
        else if (event.kind === "ping") await raw.write(encodeFrame("pong", event.payload));
        else return onClose(event.code);
      }
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    onClose(error.closeCode);
  }
}

function writer(raw: RawStream, text: boolean): RawStream["write"] {
  // Characters may be cut anywhere, but a text frame holds whole ones.
  const decoder = text ? new TextDecoder() : undefined;
  return (data) => {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (decoder === undefined) return raw.write(encodeFrame("binary", bytes));
    const whole = Buffer.from(decoder.decode(bytes, { stream: true }));
    return whole.length === 0 ? undefined : raw.write(encodeFrame("text", whole));
  };
}
