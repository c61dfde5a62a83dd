import { expect, test } from "bun:test";
import type { Digest, ImageId } from "@slipway/oci";
import type { PathStat } from "../backend.ts";
import { pathStatHeader } from "../shapes/path-stat.ts";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const link: PathStat = {
  name: "l",
  stat: { kind: "symlink", mode: 0o777, size: 3, mtime: 1_700_000_000_500_000_000n },
  linkTarget: "/s/x",
};

test("a path's facts are Go's: type bits of os.FileMode, times in RFC 3339", () => {
  const read = (stat: Partial<PathStat["stat"]>) =>
    JSON.parse(Buffer.from(pathStatHeader({ ...link, stat: { ...link.stat, ...stat } }), "base64").toString());
  expect(read({})).toEqual({
    ...{ name: "l", size: 3, mode: 134218239, mtime: "2023-11-14T22:13:20.5Z", linkTarget: "/s/x" },
  });
  expect(read({ kind: "dir", mode: 0o1777 }).mode).toBe(2 ** 31 + 2 ** 20 + 0o777);
  expect(read({ kind: "char", mode: 0o4666 }).mode).toBe(2 ** 26 + 2 ** 21 + 2 ** 23 + 0o666);
});

test("archive, changes and commit answer in Docker's shapes", async () => {
  const commits: unknown[] = [];
  const files = {
    stat: async () => link,
    archive: async () => ({
      stat: link,
      tar: (async function* () {
        yield Buffer.from("tar");
      })(),
    }),
    changes: async () => [{ path: "/a", kind: "added" as const }],
    commit: async (container: string, request: object) => {
      commits.push({ container, ...request });
      return `sha256:${"b".repeat(64)}` as Digest as ImageId;
    },
  };
  await withServer(fakeBackends({ files }), async (server) => {
    const ask = (path: string, init: RequestInit = {}) =>
      fetch(`http://engine${path}`, { ...init, unix: server.socket } as RequestInit);
    const head = await ask("/containers/c/archive?path=/l", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("x-docker-container-path-stat")).toBe(pathStatHeader(link));
    expect(await (await ask("/containers/c/archive?path=/l")).text()).toBe("tar");
    expect((await ask("/containers/c/archive")).status).toBe(400);
    expect(await (await ask("/containers/c/changes")).json()).toEqual([{ Path: "/a", Kind: 1 }]);
    const made = await ask("/commit?container=c&repo=r&tag=t&changes=ENV%20A%3Db", { method: "POST" });
    expect(made.status).toBe(201);
    expect(commits).toEqual([
      { container: "c", author: "", comment: "", changes: ["ENV A=b"], repository: "r", tag: "t" },
    ]);
    expect((await ask("/commit", { method: "POST" })).status).toBe(400);
  });
});
