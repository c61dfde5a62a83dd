import { expect, test } from "bun:test";
import { familiarReference, parseReference, type Reference } from "@slipway/oci";
import { INITIAL_STATE } from "../containers/container-life.ts";
import { parseProcessTable } from "../containers/container-processes.ts";
import { healthPlan, nextHealth } from "../containers/health-monitor.ts";
import { statusText } from "../containers/status-text.ts";
import type { HealthState } from "../faces.ts";
import { applyChanges } from "./image-changes.ts";
import { matchesGlob, shownNames } from "./image-list.ts";

for (const [text, pattern, matches] of [
  ["busybox:latest", "busy*", true],
  ["busybox:latest", "busybox:lat*", true],
  ["library/busybox", "*box", false],
  ["library/busybox", "*/busy*", true],
  ["busybox", "busybo?", true],
  ["busybox", "busybo[w-y]", true],
  ["busybox", "busybo[^x]", false],
  ["busybox", "busybox*", true],
  ["busybox", "", false],
  ["a*b", "a\\*b", true],
] as const) {
  test(`the pattern '${pattern}' ${matches ? "matches" : "does not match"} ${text}`, () => {
    expect(matchesGlob(text, pattern)).toBe(matches);
  });
}

test("an image that was asked for by a reference shows the names that match only", () => {
  const names = ["one:1", "one:2", "other:1"].map(parseReference);
  const image = { names, repoDigests: [] as readonly Reference[] };
  expect(shownNames(image, ["one"]).names.map(familiarReference)).toEqual(["one:1", "one:2"]);
  expect(shownNames(image, ["other:*", "one:2"]).names.map(familiarReference)).toEqual(["one:2", "other:1"]);
});

test("a hostile pattern costs nothing", () => {
  const begin = performance.now();
  matchesGlob("a".repeat(5000), `${"*a".repeat(120)}b`);
  expect(performance.now() - begin).toBeLessThan(200);
});

test("changes of an import are applied in order", () => {
  const config = applyChanges({ Env: ["A=1"] }, [
    "ENV A=2 B=$A",
    'CMD ["serve", "--fast"]',
    "ENTRYPOINT run it",
    "CMD x",
    "EXPOSE 80 53/udp",
    'LABEL name="two words"',
    "USER www",
    "WORKDIR /srv",
    "WORKDIR sub",
    "VOLUME /data",
    "STOPSIGNAL SIGINT",
    "HEALTHCHECK --interval=5s CMD true",
    "ONBUILD RUN echo hi",
  ]);
  expect(config).toMatchObject({
    Env: ["A=2", "B=1"],
    Entrypoint: ["/bin/sh", "-c", "run it"],
    Cmd: ["/bin/sh", "-c", "x"],
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Labels: { name: "two words" },
    User: "www",
    WorkingDir: "/srv/sub",
    Volumes: { "/data": {} },
    StopSignal: "SIGINT",
    OnBuild: ["RUN echo hi"],
  });
});

test("a change that needs a build is refused", () => {
  expect(() => applyChanges({}, ["RUN true"])).toThrow("RUN is not a valid change command");
  expect(() => applyChanges({}, ["NONSENSE"])).toThrow();
});

test("statuses read as Docker's", () => {
  const at = (seconds: number) => 1_000_000 + seconds * 1000;
  const up = { ...INITIAL_STATE, status: "running", startedAt: at(0) } as const;
  expect(statusText(INITIAL_STATE, at(0))).toBe("Created");
  expect(statusText(up, at(3))).toBe("Up 3 seconds");
  expect(statusText({ ...up, status: "paused" }, at(300))).toBe("Up 5 minutes (Paused)");
  const ended = { ...up, exitCode: 137, finishedAt: at(0) };
  expect(statusText({ ...ended, status: "exited" }, at(120))).toBe("Exited (137) 2 minutes ago");
  expect(statusText({ ...ended, status: "restarting" }, at(1))).toBe("Restarting (137) 1 second ago");
  const health = { status: "starting", failingStreak: 0, log: [] } as const;
  expect(statusText({ ...up, health }, at(60))).toBe("Up About a minute (health: starting)");
});

test("ps is cut down to a container's processes, with the command whole", () => {
  const output = "UID PID CMD\nroot 1 /sbin/init\nroot 42 sh -c  sleep 1\n";
  expect(parseProcessTable(output, new Set([42]))).toEqual({
    titles: ["UID", "PID", "CMD"],
    processes: [["root", "42", "sh -c  sleep 1"]],
  });
  expect(() => parseProcessTable("UID CMD\n", new Set())).toThrow("PID field");
});

test("health counts failures, except at the beginning, and one success heals", () => {
  const plan = healthPlan({ Healthcheck: { Test: ["CMD-SHELL", "true"], Retries: 2, StartPeriod: 5e9 } });
  if (plan === undefined) throw new Error("no plan");
  expect(plan).toMatchObject({ command: ["/bin/sh", "-c", "true"], startPeriod: 5000, interval: 30_000 });
  const probe = (exitCode: number) => ({ start: 0, end: 1, exitCode, output: "" });
  let health: HealthState = { status: "starting", failingStreak: 0, log: [] };
  health = nextHealth(health, probe(1), plan, 1000);
  expect(health).toMatchObject({ status: "starting", failingStreak: 0 });
  health = nextHealth(health, probe(1), plan, 6000);
  expect(health).toMatchObject({ status: "starting", failingStreak: 1 });
  health = nextHealth(health, probe(1), plan, 7000);
  expect(health).toMatchObject({ status: "unhealthy", failingStreak: 2 });
  health = nextHealth(health, probe(0), plan, 8000);
  expect(health).toMatchObject({ status: "healthy", failingStreak: 0 });
  expect(health.log).toHaveLength(4);
  expect(healthPlan({ Healthcheck: { Test: ["NONE"] } })).toBeUndefined();
});
