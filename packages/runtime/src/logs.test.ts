import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogPolicy, LogQuery, LogRecord } from "./faces.ts";
import { readLogs } from "./logs/log-reader.ts";
import { LogWriter } from "./logs/log-writer.ts";

const directory = mkdtempSync(join(tmpdir(), "logs-"));
afterAll(() => rmSync(directory, { recursive: true }));

const LARGE: LogPolicy = { driver: "json-file", maxSize: 20_000_000, maxFiles: 5 };
const ALL: LogQuery = { stdout: true, stderr: true, follow: false };
let count = 0;

function writer(policy: LogPolicy = LARGE) {
  const id = `c${count++}`;
  const source = { id, directory, driver: policy.driver };
  return { id, source, path: join(directory, `${id}-json.log`), log: new LogWriter(directory, id, policy) };
}

async function texts(records: AsyncIterable<LogRecord>): Promise<string[]> {
  const all: string[] = [];
  for await (const record of records) all.push(Buffer.from(record.data).toString());
  return all;
}

test("a line of the log has Docker's form", () => {
  const { log, path } = writer();
  log.write("stderr", Buffer.from('say "hi"\n'));
  expect(readFileSync(path, "utf8")).toMatch(
    /^\{"log":"say \\"hi\\"\\n","stream":"stderr","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"\}\n$/,
  );
});

test("a line that comes in pieces is one record, each stream by itself", async () => {
  const { log, source } = writer();
  log.write("stdout", Buffer.from("one "));
  log.write("stderr", Buffer.from("other\n"));
  log.write("stdout", Buffer.from("line\nrest"));
  expect(await texts(readLogs(source, ALL))).toEqual(["other\n", "one line\n"]);
  log.end();
  expect(await texts(readLogs(source, ALL))).toEqual(["other\n", "one line\n", "rest"]);
});

test("a line longer than 16 KiB is cut, and not inside a character", async () => {
  const { log, source } = writer();
  const long = "ä".repeat(20_000);
  for (let at = 0; at < long.length; at += 999) log.write("stdout", Buffer.from(long.slice(at, at + 999)));
  log.write("stdout", Buffer.from("\n"));
  const parts = await texts(readLogs(source, ALL));
  expect(parts.length).toBeGreaterThan(1);
  expect(parts.join("")).toBe(`${long}\n`);
});

test("bytes that are not UTF-8 become replacement characters", async () => {
  const { log, source } = writer();
  log.write("stdout", Buffer.from([0xff, 0xfe, 10]));
  expect(await texts(readLogs(source, ALL))).toEqual(["\ufffd\ufffd\n"]);
});

test("rotation keeps so many files of that size, and the newest lines", async () => {
  const { log, source, path } = writer({ driver: "json-file", maxSize: 1000, maxFiles: 3 });
  for (let i = 0; i < 100; i++) log.write("stdout", Buffer.from(`line ${i}\n`));
  const lines = await texts(readLogs(source, ALL));
  expect(lines.at(-1)).toBe("line 99\n");
  expect(lines.length).toBeLessThan(50);
  expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${100 - lines.length + i}\n`));
  expect(readFileSync(`${path}.2`).length).toBeLessThan(1200);
  expect(() => readFileSync(`${path}.3`)).toThrow("ENOENT");
});

test("one chunk of many lines is rotated too", async () => {
  const { log, source } = writer({ driver: "json-file", maxSize: 2000, maxFiles: 100 });
  log.write("stdout", Buffer.from(Array.from({ length: 500 }, (_, i) => `${i}\n`).join("")));
  expect(await texts(readLogs(source, ALL))).toEqual(Array.from({ length: 500 }, (_, i) => `${i}\n`));
});

test("the tail is found from the end, across files", async () => {
  const { log, source } = writer({ driver: "json-file", maxSize: 1000, maxFiles: 10 });
  for (let i = 0; i < 60; i++) log.write("stdout", Buffer.from(`${i}\n`));
  expect(await texts(readLogs(source, { ...ALL, tail: 0 }))).toEqual([]);
  expect(await texts(readLogs(source, { ...ALL, tail: 1 }))).toEqual(["59\n"]);
  const tail = await texts(readLogs(source, { ...ALL, tail: 40 }));
  expect(tail).toEqual(Array.from({ length: 40 }, (_, i) => `${20 + i}\n`));
  expect(await texts(readLogs(source, { ...ALL, tail: 1000 }))).toHaveLength(60);
});

test("since and until select by time, both inclusive", async () => {
  const { log, source } = writer();
  for (let i = 0; i < 10; i++) log.write("stdout", Buffer.from(`${i}\n`));
  const times: bigint[] = [];
  for await (const { time } of readLogs(source, ALL)) times.push(time);
  const [since = 0n, until = 0n] = [times[3], times[6]];
  expect(await texts(readLogs(source, { ...ALL, since, until }))).toEqual(["3\n", "4\n", "5\n", "6\n"]);
});

test("since is found by halving in a large file", async () => {
  const { source, path } = writer();
  const lines = Array.from({ length: 50_000 }, (_, i) => {
    const time = `${new Date(1.7e12 + i * 1000).toISOString().slice(0, -1)}000000Z`;
    return `{"log":"${i}\\n","stream":"stdout","time":"${time}"}\n`;
  });
  writeFileSync(path, lines.join(""));
  const since = BigInt(1.7e12 + 49_990 * 1000) * 1_000_000n;
  expect(await texts(readLogs(source, { ...ALL, since }))).toEqual(
    Array.from({ length: 10 }, (_, i) => `${49_990 + i}\n`),
  );
});

test("a stream that was not asked for is left out", async () => {
  const { log, source } = writer();
  log.write("stdout", Buffer.from("out\n"));
  log.write("stderr", Buffer.from("err\n"));
  expect(await texts(readLogs(source, { ...ALL, stdout: false }))).toEqual(["err\n"]);
});

test("a record cut short by a full disk hides no other, and Docker's own records are read", async () => {
  const { source, path } = writer();
  writeFileSync(
    path,
    '{"log":"half\n{"log":"whole\\u003c\\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-01-02T03:04:05.5Z"}\n',
  );
  const records: LogRecord[] = [];
  for await (const record of readLogs(source, ALL)) records.push(record);
  expect(records.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data).toString() }))).toEqual([
    { stream: "stderr", time: 1_767_323_045_500_000_000n, data: "whole<\n" },
  ]);
});

test("following goes on across rotations and ends with the container", async () => {
  const { log, source } = writer({ driver: "json-file", maxSize: 500, maxFiles: 100 });
  log.write("stdout", Buffer.from("0\n"));
  const ended = Promise.withResolvers<void>();
  const following = texts(readLogs({ ...source, ended: ended.promise }, { ...ALL, follow: true }));
  for (let i = 1; i < 200; i++) {
    log.write("stdout", Buffer.from(`${i}\n`));
    if (i % 20 === 0) await Bun.sleep(1);
  }
  ended.resolve();
  expect(await following).toEqual(Array.from({ length: 200 }, (_, i) => `${i}\n`));
});

test("following ends at once when its signal fires", async () => {
  const { source } = writer();
  const controller = new AbortController();
  const following = texts(readLogs(source, { ...ALL, follow: true, signal: controller.signal }));
  controller.abort();
  expect(await following).toEqual([]);
});

test("a log that does not exist is empty", async () => {
  expect(await texts(readLogs({ id: "none", directory, driver: "json-file" }, ALL))).toEqual([]);
});

test("200,000 lines are read quickly", async () => {
  const { source, path } = writer();
  const line =
    '{"log":"the quick brown fox jumps over the lazy dog\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}\n';
  for (let i = 0; i < 20; i++) appendFileSync(path, line.repeat(10_000));
  const start = performance.now();
  let lines = 0;
  for await (const _ of readLogs(source, ALL)) lines++;
  expect(lines).toBe(200_000);
  const milliseconds = performance.now() - start;
  console.log(`200,000 lines: ${milliseconds.toFixed(0)} ms`);
  expect(milliseconds).toBeLessThan(3000);
});

test("the output as bytes is that of the records, in frames and without", async () => {
  const { log, source, path } = writer();
  for (let n = 0; n < 300; n++) {
    const text = ["plain\n", 'a "quoted" \\ line\n', "ä\u2028\n", "half", "\n", "x".repeat(40_000), "\0\x1b[0m\n"][
      n % 7
    ];
    log.write(n % 3 === 0 ? "stderr" : "stdout", Buffer.from(text ?? ""));
  }
  log.end();
  appendFileSync(
    path,
    '{"log":"foreign\\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-01-02T03:04:05Z"}\nrubbish\n',
  );
  const joined = async (parts: AsyncIterable<Uint8Array>) =>
    Buffer.concat(await Array.fromAsync(parts)).toString("latin1");
  for (const query of [ALL, { ...ALL, stdout: false }, { ...ALL, since: 1n }, { ...ALL, tail: 7 }]) {
    const records = await Array.fromAsync(readLogs(source, query));
    const plain = records.map(({ data }) => Buffer.from(data).toString("latin1"));
    expect(await joined(readLogs(source, query).bytes(false))).toBe(plain.join(""));
    const framed = records.map(({ stream, data }, n) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(data.length);
      return `${stream === "stdout" ? "\x01" : "\x02"}\0\0\0${size.toString("latin1")}${plain[n]}`;
    });
    expect(await joined(readLogs(source, query).bytes(true))).toBe(framed.join(""));
  }
});
