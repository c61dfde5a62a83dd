import { expect, test } from "bun:test";
import { resolveUser } from "./users.ts";

const PASSWD =
  "root:x:0:0:root:/root:/bin/sh\n# comment\nship:x:1000:1001::/home/ship:/bin/sh\n42:x:7:7::/odd:/bin/sh\nbad\n";
const GROUP = "root:x:0:\ncrew:x:2000:ship,other\nship:x:1001:\ndeck:x:2001:other\n";

test.each([
  ["", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
  ["root", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
  ["ship", { uid: 1000, gid: 1001, additionalGids: [2000], home: "/home/ship" }],
  ["1000", { uid: 1000, gid: 1001, additionalGids: [2000], home: "/home/ship" }],
  ["ship:deck", { uid: 1000, gid: 2001, additionalGids: [], home: "/home/ship" }],
  ["ship:5", { uid: 1000, gid: 5, additionalGids: [], home: "/home/ship" }],
  ["5000", { uid: 5000, gid: 0, additionalGids: [], home: "/" }],
  ["5000:6000", { uid: 5000, gid: 6000, additionalGids: [], home: "/" }],
  // A name made of digits is looked for as a name first.
  ["42", { uid: 7, gid: 7, additionalGids: [], home: "/odd" }],
  [":crew", { uid: 0, gid: 2000, additionalGids: [], home: "/root" }],
])("user %p", (spec, expected) => {
  expect(resolveUser(spec, PASSWD, GROUP)).toEqual(expected);
});

test("numbers need no files, names do", () => {
  expect(resolveUser("12:34", "", "")).toEqual({ uid: 12, gid: 34, additionalGids: [], home: "/" });
  expect(() => resolveUser("ship", "", "")).toThrow("unable to find user ship: no matching entries in passwd file");
  expect(() => resolveUser("1:crew", "", "")).toThrow("unable to find group crew: no matching entries in group file");
});

test("numbers that no kernel takes are refused", () => {
  expect(() => resolveUser("2147483648", "", "")).toThrow("uids and gids must be in range 0-2147483647");
  expect(() => resolveUser("-1", "", "")).toThrow("uids and gids must be in range 0-2147483647");
});

test("groups that were added come on top, once", () => {
  expect(resolveUser("ship", PASSWD, GROUP, ["deck", "2000", "77"]).additionalGids).toEqual([2000, 2001, 77]);
});
