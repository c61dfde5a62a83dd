// Run by testcontainers.interop.test.ts under Node: files into containers and out of them, images built by testcontainers.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import archiver from "archiver";
import tar from "tar-stream";
import { GenericContainer, Wait } from "testcontainers";

const IMAGE = "alpine:3.20";
const SLEEPER = ["sh", "-c", "trap exit TERM; while :; do sleep 0.05; done"];
const sleeper = () => new GenericContainer(IMAGE).withCommand(SLEEPER);
const folder = mkdtempSync(join(tmpdir(), "slipway-tc-files-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name, content) => {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
};
const output = async (container, script) => (await container.exec(["sh", "-c", script])).output;

test("copies files, contents, directories and archives in before the start", async () => {
  const archive = archiver("tar");
  archive.append("from an archive", { name: "deep/archived.txt" });
  archive.finalize();
  await using container = await sleeper()
    .withCopyFilesToContainer([{ source: file("a.txt", "a file"), target: "/tmp/new/a.txt", mode: 0o640 }])
    .withCopyContentToContainer([{ content: "a string", target: "/tmp/b.txt" }])
    .withCopyContentToContainer([{ content: Buffer.from("bytes"), target: "/tmp/c.txt", mode: 0o755 }])
    .withCopyDirectoriesToContainer([
      { source: join(file("tree/sub/d.txt", "in a tree"), "../.."), target: "/tmp/tree" },
    ])
    .withCopyArchivesToContainer([{ tar: archive, target: "/" }])
    .start();
  assert.equal(
    await output(container, "cat /tmp/new/a.txt /tmp/b.txt /tmp/c.txt /tmp/tree/sub/d.txt /deep/archived.txt"),
    "a filea stringbytesin a treefrom an archive",
  );
  assert.equal(await output(container, "stat -c %a /tmp/new/a.txt /tmp/c.txt"), "640\n755\n");
});

test("a command that runs at once finds what was copied before the start", async () => {
  await using container = await new GenericContainer(IMAGE)
    .withCopyContentToContainer([{ content: "early", target: "/early" }])
    .withCommand(["sh", "-c", "cat /early; echo; exec sleep 60"])
    .withWaitStrategy(Wait.forLogMessage("early"))
    .start();
  assert.ok(container.getId());
});

test("copies into a running container, and out of a running and of a stopped one", async () => {
  const container = await sleeper().start();
  await container.copyFilesToContainer([{ source: file("e.txt", "running"), target: "/tmp/e.txt" }]);
  await container.copyContentToContainer([{ content: "content", target: "/tmp/f.txt" }]);
  await container.copyDirectoriesToContainer([{ source: join(file("more/g.txt", "dir"), ".."), target: "/tmp/more" }]);
  const archive = archiver("tar");
  archive.append("x", { name: "h.txt" });
  archive.finalize();
  await container.copyArchiveToContainer(archive, "/tmp");
  assert.equal(await output(container, "cat /tmp/e.txt /tmp/f.txt /tmp/more/g.txt /tmp/h.txt"), "runningcontentdirx");
  assert.deepEqual(await unpack(await container.copyArchiveFromContainer("/tmp/e.txt")), { "e.txt": "running" });
  const stopped = await container.stop({ remove: false });
  const tree = await unpack(await stopped.copyArchiveFromContainer("/tmp/more"));
  assert.deepEqual(tree, { "more/": "", "more/g.txt": "dir" });
  await stopped.remove?.();
});

test("a file of 100 MB arrives whole", async () => {
  const content = Buffer.alloc(100 * 1024 * 1024, "0123456789abcdef");
  await using container = await sleeper()
    .withCopyContentToContainer([{ content, target: "/big" }])
    .start();
  assert.equal(await output(container, "stat -c %s /big; tail -c 16 /big"), `${content.length}\n0123456789abcdef`);
  let size = 0;
  for await (const chunk of Readable.from(await container.copyArchiveFromContainer("/big"))) size += chunk.length;
  assert.ok(size > content.length);
});

test("binds a directory of the host", async () => {
  const source = join(file("bound/i.txt", "bound"), "..");
  symlinkSync("i.txt", join(source, "link"));
  await using container = await sleeper()
    .withBindMounts([
      { source, target: "/bound", mode: "ro" },
      { source, target: "/writable" },
    ])
    .start();
  assert.equal(
    await output(container, "cat /bound/link; touch /bound/x 2>&1"),
    "boundtouch: /bound/x: Read-only file system\n",
  );
  assert.equal(await output(container, "touch /writable/x; ls /bound"), "i.txt\nlink\nx\n");
});

test("builds an image of a Dockerfile with arguments, a target and ignored files, and runs it", async () => {
  const context = join(
    file(
      "context/Dockerfile",
      `FROM ${IMAGE} AS first\nARG WORD=none\nRUN echo $WORD > /word\nCOPY . /all\nCMD ["sh", "-c", "echo ready; exec sleep 60"]\nFROM first\nRUN false\n`,
    ),
    "..",
  );
  file("context/kept.txt", "kept");
  file("context/dropped.log", "dropped");
  file("context/.dockerignore", "*.log\n");
  const image = await GenericContainer.fromDockerfile(context)
    .withBuildArgs({ WORD: "given" })
    .withTarget("first")
    .withCache(false)
    .build(`tc-built:${process.pid}`, { deleteOnExit: false });
  await using container = await image.withWaitStrategy(Wait.forLogMessage("ready")).start();
  assert.equal(await output(container, "cat /word; ls -A /all"), "given\n.dockerignore\nDockerfile\nkept.txt\n");
});

test("a build that fails is told", async () => {
  const context = join(file("broken/Dockerfile", `FROM ${IMAGE}\nRUN exit 9\n`), "..");
  await assert.rejects(GenericContainer.fromDockerfile(context).build("tc-broken", { deleteOnExit: false }));
});

async function unpack(stream) {
  const found = {};
  const extract = tar.extract();
  stream.pipe(extract);
  for await (const entry of extract) {
    const chunks = await Array.fromAsync(entry);
    found[entry.header.name] = Buffer.concat(chunks).toString();
  }
  return found;
}
