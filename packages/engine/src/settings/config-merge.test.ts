import { expect, test } from "bun:test";
import { commandOf, mergeConfig, processEnv } from "./config-merge.ts";

const image = { Entrypoint: ["/entry"], Cmd: ["serve"], Env: ["A=1", "B=2"], Labels: { a: "1", b: "2" }, User: "www" };
const user = { Image: "x" };

test("a container without a word of its own runs what the image says", () => {
  const merged = mergeConfig(user, image);
  expect(commandOf(merged)).toEqual({ path: "/entry", args: ["serve"] });
  expect(merged.User).toBe("www");
});

test("a command replaces the image's command and keeps its entrypoint", () => {
  expect(commandOf(mergeConfig({ ...user, Cmd: ["ls", "-l"] }, image))).toEqual({ path: "/entry", args: ["ls", "-l"] });
});

test("an entrypoint drops the image's command", () => {
  expect(commandOf(mergeConfig({ ...user, Entrypoint: ["sh"] }, image))).toEqual({ path: "sh", args: [] });
});

test("an empty entrypoint removes the image's, and then a command is needed", () => {
  expect(commandOf(mergeConfig({ ...user, Entrypoint: [""], Cmd: ["ls"] }, image))).toEqual({ path: "ls", args: [] });
  expect(() => mergeConfig({ ...user, Entrypoint: [""] }, image)).toThrow("no command specified");
  expect(() => mergeConfig(user, {})).toThrow("no command specified");
});

test("variables of the user come first and win", () => {
  expect(mergeConfig({ ...user, Env: ["B=3", "C=4"] }, image).Env).toEqual(["B=3", "C=4", "A=1"]);
});

test("labels, ports and volumes add up, the user's labels win", () => {
  const merged = mergeConfig(
    { ...user, Labels: { b: "3" }, ExposedPorts: { "81/tcp": {} }, Volumes: { "/b": {} } },
    { ...image, ExposedPorts: { "80/tcp": {} }, Volumes: { "/a": {} } },
  );
  expect(merged.Labels).toEqual({ a: "1", b: "3" });
  expect(Object.keys(merged.ExposedPorts ?? {})).toEqual(["80/tcp", "81/tcp"]);
  expect(Object.keys(merged.Volumes ?? {})).toEqual(["/a", "/b"]);
});

test("a health check takes over from the image what it leaves open", () => {
  const merged = mergeConfig(
    { ...user, Healthcheck: { Interval: 5 } },
    { ...image, Healthcheck: { Test: ["CMD", "true"], Interval: 1, Retries: 2 } },
  );
  expect(merged.Healthcheck).toEqual({ Test: ["CMD", "true"], Interval: 5, Retries: 2 });
});

test("the process sees defaults, replaced by the configuration; a bare name takes a default away", () => {
  const env = processEnv({ Image: "x", Tty: true, Env: ["PATH=/bin", "TERM", "X=a=b"] }, "host");
  expect(env).toEqual(["PATH=/bin", "HOSTNAME=host", "X=a=b"]);
});
