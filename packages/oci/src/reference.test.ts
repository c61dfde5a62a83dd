import { describe, expect, test } from "bun:test";
import { familiarReference, formatReference, looksLikeImageId, parseReference, withDefaultTag } from "./reference.ts";

const DIGEST = `sha256:${"a1".repeat(32)}`;

describe("a reference", () => {
  test.each([
    ["busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["user/app:1.0", "docker.io/user/app:1.0", "user/app:1.0"],
    ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
    ["localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t"],
    ["index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["registry.example.org/x", "registry.example.org/x:latest", "registry.example.org/x:latest"],
    [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`, `app@${DIGEST}`],
    [`app:1@${DIGEST}`, `docker.io/library/app:1@${DIGEST}`, `app:1@${DIGEST}`],
    ["a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"],
    ["[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest", "[2001:db8::1]:5000/x:latest"],
    ["Host/x", "Host/x:latest", "Host/x:latest"],
  ])("%s is %s", (text, full, familiar) => {
    const reference = withDefaultTag(parseReference(text));
    expect(formatReference(reference)).toBe(full);
    expect(familiarReference(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
  });

  test.each([
    "",
    "Busybox",
    "a//b",
    "a:",
    ":a",
    "a b",
    "-a",
    "a-",
    "a/../b",
    "a@sha256:12",
    `${"0".repeat(64)}`,
    "a..b",
    "a/b_",
    `x:${"t".repeat(129)}`,
    "x".repeat(256),
  ])("'%s' is refused", (text) => expect(() => parseReference(text)).toThrow(/invalid/));
});

test("an image ID is told from a name", () => {
  expect(looksLikeImageId("sha256:abc")).toBe(true);
  expect(looksLikeImageId("a".repeat(64))).toBe(true);
  expect(looksLikeImageId("abc")).toBe(false);
});
