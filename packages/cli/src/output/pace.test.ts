import { expect, test } from "bun:test";
import { TestIo } from "../testing/test-io.ts";
import { Meter } from "./meter.ts";
import { Pace, shortDuration } from "./pace.ts";
import { ProgressLines } from "./progress-lines.ts";

const MB = 1_000_000;

test("how far, at what rate and how long still are told once the rate is known", () => {
  const pace = new Pace();
  expect(pace.text(0, 100 * MB, 0)).toBe("0% 0B/100MB");
  expect(pace.text(10 * MB, 100 * MB, 1000)).toBe("10% 10MB/100MB 10MB/s 9s left");
  expect(pace.text(20 * MB, 100 * MB, 2000)).toBe("20% 20MB/100MB 10MB/s 8s left");
  expect(pace.text(100 * MB, 100 * MB, 3000)).toBe("100% 100MB/100MB");
});

test("the rate follows a change of speed within seconds", () => {
  const pace = new Pace();
  for (let second = 0; second <= 10; second++) pace.text(second * 10 * MB, undefined, second * 1000);
  let text = "";
  for (let second = 1; second <= 8; second++) text = pace.text(100 * MB + second * MB, 1000 * MB, (10 + second) * 1000);
  expect(text).toBe("10% 108MB/1GB 1MB/s 14m52s left");
});

test("without a total, or with one that was too small, nothing is said of the end", () => {
  const pace = new Pace();
  pace.text(0, 5, 0);
  expect(pace.text(4 * MB, 5, 2000)).toBe("4MB 2MB/s");
  expect(pace.text(4 * MB, undefined, 9000)).toBe("4MB");
});

test("what begins again has a new rate", () => {
  const pace = new Pace();
  pace.text(50 * MB, 100 * MB, 0);
  pace.text(0, 100 * MB, 1000);
  expect(pace.text(10 * MB, 100 * MB, 3000)).toBe("10% 10MB/100MB 5MB/s 18s left");
});

test("durations are short", () => {
  expect([0.2, 59, 60, 125, 3600, 4000, 360_000].map(shortDuration)).toEqual([
    "1s",
    "59s",
    "1m00s",
    "2m05s",
    "1h00m",
    "1h06m",
    "4d",
  ]);
});

test("a meter draws one line on a terminal, takes it away at its end, and is silent elsewhere", async () => {
  const show = async (io: TestIo) => {
    using meter = new Meter(io, { doing: "Saving", total: 10 * MB });
    meter.add(4 * MB);
    await Bun.sleep(900);
  };
  const io = new TestIo({ terminal: true });
  const quiet = [new TestIo(), new TestIo({ terminal: true, env: { TERM: "dumb" } })];
  await Promise.all([io, ...quiet].map(show));
  expect(io.stderr.text).toMatch(/^(\rSaving 40% 4MB\/10MB\x1b\[K)+\r\x1b\[K$/);
  expect(quiet.map(({ stderr }) => stderr.text)).toEqual(["", ""]);
});

test("the lines of a pull change in place on a terminal only, and an engine's escapes never reach it", () => {
  const show = (io: TestIo) => {
    const lines = new ProgressLines(io.stdout, { quiet: false, env: io.env });
    lines.show({ id: "a", status: "Pulling fs layer", progressDetail: {} });
    lines.show({ id: "a", status: "Downloading\x1b[2J", progressDetail: { current: MB, total: 4 * MB } });
    lines.show({ id: "a", status: "Pull complete", progressDetail: {} });
    return io.stdout.text;
  };
  expect(show(new TestIo())).toBe("a: Pulling fs layer\na: Pull complete\n");
  expect(show(new TestIo({ terminal: true, env: { TERM: "dumb" } }))).toBe("a: Pulling fs layer\na: Pull complete\n");
  expect(show(new TestIo({ terminal: true }))).toBe(
    "a: Pulling fs layer\n\x1b[1A\x1b[2K\ra: Downloading[2J 25% 1MB/4MB\x1b[1B\r\x1b[1A\x1b[2K\ra: Pull complete\x1b[1B\r",
  );
});
