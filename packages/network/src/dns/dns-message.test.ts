import { describe, expect, test } from "bun:test";
import { parseIp } from "../addresses/ip-block.ts";
import { question, readAnswer } from "./dns-fixture.ts";
import {
  addressRecord,
  isAnswerTo,
  nameRecord,
  parseQuery,
  RCODE,
  reverseAddress,
  reverseName,
  truncateAnswer,
  writeAnswer,
} from "./dns-message.ts";
import { FrameReader, framed } from "./dns-upstream.ts";

function parsed(bytes: Uint8Array) {
  const result = parseQuery(bytes);
  if (result.kind !== "question") throw new Error(`${result.kind}`);
  return result.question;
}

const addresses = Array.from({ length: 200 }, (_, index) => addressRecord({ family: 4, value: BigInt(index) }));

describe("messages of DNS", () => {
  test("are read: name in lower case, type, what the client takes", () => {
    expect(parsed(question("WwW.Example.ORG"))).toMatchObject({
      name: "www.example.org",
      type: 1,
      udpSize: 512,
      edns: false,
    });
    expect(parsed(question("a", 28, { edns: 1400 }))).toMatchObject({ type: 28, udpSize: 1400, edns: true });
    expect(parsed(question("a", 1, { edns: 0 })).udpSize).toBe(512);
    expect(parsed(question("a", 1, { edns: 65535 })).udpSize).toBe(4096);
    expect(parsed(question("")).name).toBe("");
    const dotted = Buffer.concat([question("ab").subarray(0, 12), Buffer.from("\x03a.b\0\0\x01\0\x01", "latin1")]);
    expect(parsed(dotted).name).toBe("a\\.b");
  });

  test("answers fit, or say that there is more; the question comes back as it was asked", () => {
    const asked = question("WeB", 1, { edns: 600 });
    const small = writeAnswer(parsed(asked), RCODE.NOERROR, { records: addresses.slice(0, 3), limit: 600 });
    expect(readAnswer(small)).toMatchObject({ rcode: 0, truncated: false, records: ["0.0.0.0", "0.0.0.1", "0.0.0.2"] });
    expect(Buffer.from(small).toString("latin1")).toContain("WeB");
    const large = writeAnswer(parsed(asked), RCODE.NOERROR, { records: addresses, limit: 600 });
    expect(large.length).toBeLessThanOrEqual(600);
    expect(readAnswer(large).truncated).toBe(true);
    expect(readAnswer(writeAnswer(parsed(asked), RCODE.NOERROR, { records: addresses })).records.length).toBe(200);
    const cut = readAnswer(truncateAnswer(large, parsed(asked).section));
    expect(cut).toMatchObject({ truncated: true, records: [] });
    expect(nameRecord(`${"x".repeat(64)}.net`)).toBeUndefined();
    expect(nameRecord("a..b")).toBeUndefined();
    expect(nameRecord(Array(60).fill("abcd").join("."))).toBeUndefined();
  });

  test("an answer belongs to a question by its ID, its name and its being an answer", () => {
    const asked = question("Web.test", 1, { id: 7 });
    const { section } = parsed(asked);
    const answer = writeAnswer(parsed(question("wEB.TEST", 1, { id: 7 })), RCODE.NOERROR);
    expect(isAnswerTo(answer, 7, section)).toBe(true);
    expect(isAnswerTo(answer, 8, section)).toBe(false);
    expect(isAnswerTo(asked, 7, section)).toBe(false);
    expect(isAnswerTo(writeAnswer(parsed(question("web.tesu", 1, { id: 7 })), 0), 7, section)).toBe(false);
    expect(isAnswerTo(answer.slice(0, 20), 7, section)).toBe(false);
    expect(isAnswerTo(Buffer.from([0, 7, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]), 7, section)).toBe(true);
  });

  test("reverse names are those of both families, and nothing else", () => {
    for (const text of ["172.18.0.5", "fd00:1::2"]) {
      const address = parseIp(text);
      if (address !== undefined) expect(reverseAddress(reverseName(address))).toEqual(address);
    }
    for (const name of ["in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.3.256.in-addr.arpa", "a.ip6.arpa", "web"]) {
      expect(reverseAddress(name)).toBeUndefined();
    }
  });

  test("whatever is sent, reading ends, and an answer is no longer than the question and its refusal", () => {
    for (let round = 0; round < 20_000; round++) {
      const bytes = crypto.getRandomValues(new Uint8Array(Math.floor(Math.random() * 80)));
      if (round % 2 === 0) bytes.set([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1].slice(0, bytes.length));
      const result = parseQuery(bytes);
      if (result.kind === "refused") expect(result.answer.length).toBe(12);
      if (result.kind === "question")
        expect(writeAnswer(result.question, RCODE.NXDOMAIN).length).toBeLessThanOrEqual(bytes.length + 11);
      isAnswerTo(bytes, 1, bytes);
    }
    const endless = Buffer.concat([question("a").subarray(0, 12), Buffer.alloc(4000, 1)]);
    expect(parseQuery(endless).kind).toBe("refused");
  });

  test("streams are cut into messages wherever they break, and too long ones end them", () => {
    const messages = [question("one"), Buffer.alloc(0), question("two"), Buffer.alloc(3000, 7)];
    const stream = Buffer.concat(messages.map(framed));
    for (const step of [1, 2, 3, 7, 1000, 5000]) {
      const seen: Uint8Array[] = [];
      const reader = new FrameReader((message) => seen.push(message), 4096);
      for (let at = 0; at < stream.length; at += step) expect(reader.push(stream.subarray(at, at + step))).toBe(true);
      expect(seen.map((each) => Buffer.from(each).toString("hex"))).toEqual(
        messages.map((each) => each.toString("hex")),
      );
    }
    expect(new FrameReader(() => {}, 100).push(Buffer.from([1, 0]))).toBe(false);
  });
});
