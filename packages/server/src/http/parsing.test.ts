import { expect, test } from "bun:test";
import { BodyDecoder } from "./body-decoder.ts";
import { Connection } from "./connection.ts";
import { text } from "./reply.ts";
import { parseRequestHead } from "./request-head.ts";

/** A generator of its own, so that a failure can be repeated. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Gives the bytes to a connection in the given pieces and returns what it answers. */
async function converse(pieces: readonly Uint8Array[]): Promise<string> {
  let sent = "";
  const socket = {
    write(data: Uint8Array) {
      sent += Buffer.from(data).toString("latin1");
      return data.length;
    },
    end: () => {},
    pause: () => {},
    resume: () => {},
    terminate: () => {},
  };
  const connection = new Connection(socket, {
    commonHeaders: {},
    async handle({ head, body }) {
      let received = "";
      try {
        for await (const chunk of body) received += Buffer.from(chunk).toString("latin1");
      } catch {
        return text(400, "broken body");
      }
      return text(200, `${head.method} ${head.target} ${received}`);
    },
    refuse: () => text(400, "refused"),
    onBroken: () => {},
  });
  for (const piece of pieces) connection.onData(piece);
  // Nothing here waits for the outside: all answers are given within some turns of the queue of promises.
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  return sent;
}

function cut(bytes: Uint8Array, below: (limit: number) => number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + below(20);
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

test("however the network cuts them, the same requests get the same answers", async () => {
  const requests = Buffer.from(
    [
      "GET /one HTTP/1.1\r\nHost: d\r\n\r\n",
      "POST /two HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello",
      "\r\nPOST /three HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
      "GET /four HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
    ].join(""),
  );
  const whole = await converse([requests]);
  expect(whole.match(/(GET|POST) \/\w+ .*$/gm)).toHaveLength(4);
  expect(whole).toContain("POST /three abc0123456789");
  for (let seed = 1; seed <= 100; seed++) {
    expect(await converse(cut(requests, randomNumbers(seed)))).toBe(whole);
  }
});

test("random and broken bytes are refused or understood, and never throw", async () => {
  const model = "POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (let seed = 1; seed <= 500; seed++) {
    const below = randomNumbers(seed);
    const bytes = Buffer.from(model);
    for (let changes = 1 + below(6); changes > 0; changes--) bytes[below(bytes.length)] = below(256);
    const answer = await converse(cut(bytes, below));
    if (answer !== "") expect(answer).toStartWith("HTTP/1.1 ");
  }
});

test.each([
  "GET / HTTP/2.0",
  "GET  / HTTP/1.1",
  "GET / HTTP/1.1 ",
  "G@T / HTTP/1.1",
  "GET /\x7f HTTP/1.1",
  "GET nothing HTTP/1.1",
])("the request line '%s' is refused", (line) => {
  expect(() => parseRequestHead(`${line}\r\nHost: d`)).toThrow();
});

test("a proxy's absolute form means its path", () => {
  expect(parseRequestHead("GET http://docker/v1.40/info?x HTTP/1.1\r\nHost: d").target).toBe("/v1.40/info?x");
});

test.each(["-1\r\n", "G\r\n", "\r\n", "1 2\r\n", "0x1\r\n", "1\n", "FFFFFFFFFFFFF\r\n", `1;${"x".repeat(5000)}\r\n`])(
  "the chunk size %j is refused",
  (line) => {
    expect(() => new BodyDecoder({ kind: "chunked" }).push(Buffer.from(line), () => {})).toThrow("chunked body");
  },
);

test("what follows a body belongs to the next request", () => {
  const seen: string[] = [];
  const decoder = new BodyDecoder({ kind: "length", length: 3 });
  const rest = decoder.push(Buffer.from("abcGET"), (data) => seen.push(Buffer.from(data).toString()));
  expect([seen, Buffer.from(rest).toString(), decoder.done]).toEqual([["abc"], "GET", true]);
});
