import { expect, test } from "bun:test";
import { whilePatient } from "./patient-upload.ts";

function upload() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
  });
  return { stream, send: (text: string) => controller?.enqueue(Buffer.from(text)), end: () => controller?.close() };
}

test("an upload that stalls is given up as soon as somebody waits, and not before", async () => {
  const { stream, send } = upload();
  let asked = 0;
  const isAwaited = () => ++asked > 3;
  const reader = whilePatient(stream, { limit: 5, isAwaited }, "container box").getReader();
  send("first");
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
  await expect(reader.read()).rejects.toThrow("the upload into container box was given up");
  expect(asked).toBe(4);
});

test("one that goes on is passed through, whoever waits", async () => {
  const { stream, send, end } = upload();
  const patient = whilePatient(stream, { limit: 60_000, isAwaited: () => true }, "container box");
  const text = new Response(patient).text();
  for (const part of ["a", "b", "c"]) send(part);
  end();
  expect(await text).toBe("abc");
});
