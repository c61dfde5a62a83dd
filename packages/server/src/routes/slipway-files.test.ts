import { expect, test } from "bun:test";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTar } from "@slipway/tar";
import { tarOf } from "@slipway/testkit";
import { fakeBackends } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const CONTENT = Buffer.alloc(3_000_001, "slipway ");
const BROUGHT = "/slipway/containers/c/file?path=/d";

interface Brought {
  readonly name: string;
  readonly content: Buffer;
}

async function withFiles(
  run: (tools: {
    readonly directory: string;
    readonly brought: Brought[];
    readonly ask: (method: string, fd: number, change?: object, socket?: string) => Promise<Response>;
    readonly socket: string;
  }) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "slipway-files-"));
  const brought: Brought[] = [];
  const files = {
    extract: async (_container: string, _path: string, tar: ReadableStream<Uint8Array>) => {
      for await (const { header, content } of readTar(tar)) {
        brought.push({ name: header.name, content: Buffer.concat(await Array.fromAsync(content)) });
      }
    },
    archive: async () => ({
      stat: { name: "f", stat: { kind: "file", mode: 0o640, size: CONTENT.length, mtime: 5n }, linkTarget: "" },
      tar: (async function* () {
        yield tarOf([{ name: "f", type: "file", content: CONTENT, mode: 0o640, uid: 7 }]);
      })(),
    }),
  };
  try {
    await withServer(fakeBackends({ files } as never), (server) => {
      const ask = (method: string, fd: number, change: object = {}, socket = server.socket) => {
        const { dev, ino } = fstatSync(fd, { bigint: true });
        const body = { Descriptor: fd, Device: dev.toString(), Inode: ino.toString(), Name: "f", ...change };
        const headers = { "Content-Type": "application/json" };
        return fetch(`http://engine${BROUGHT}`, { method, headers, body: JSON.stringify(body), unix: socket });
      };
      return run({ directory, brought, ask, socket: server.socket });
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("a file that the client has open is read in place, and one is written", async () => {
  await withFiles(async ({ directory, brought, ask }) => {
    writeFileSync(join(directory, "in"), CONTENT);
    const from = openSync(join(directory, "in"), "r");
    const answer = await ask("PUT", from);
    const { Bytes } = (await answer.json()) as { Bytes: number };
    expect([Bytes > CONTENT.length, Bytes % 512]).toEqual([true, 0]);
    expect(brought.map(({ name }) => name)).toEqual(["f"]);
    expect(brought[0]?.content.equals(CONTENT)).toBe(true);
    closeSync(from);
    const to = openSync(join(directory, "out"), "wx");
    expect(await (await ask("POST", to)).json()).toMatchObject({ Mode: 0o640, Uid: 7 });
    closeSync(to);
    expect(readFileSync(join(directory, "out")).equals(CONTENT)).toBe(true);
  });
});

test("a descriptor has its client's rights: one for writing is not read, one for reading not written", async () => {
  await withFiles(async ({ directory, brought, ask }) => {
    writeFileSync(join(directory, "file"), CONTENT);
    const [reading, writing] = [openSync(join(directory, "file"), "r"), openSync(join(directory, "file"), "r+")];
    const onlyWriting = openSync(join(directory, "file"), "a");
    expect((await ask("PUT", onlyWriting)).status).toBeGreaterThanOrEqual(400);
    expect((await ask("POST", reading)).status).toBeGreaterThanOrEqual(400);
    expect(brought).toEqual([]);
    expect(readFileSync(join(directory, "file")).equals(CONTENT)).toBe(true);
    for (const fd of [reading, writing, onlyWriting]) closeSync(fd);
  });
});

test("only a plain file, and only the one that was named, is taken", async () => {
  await withFiles(async ({ directory, brought, ask }) => {
    writeFileSync(join(directory, "file"), "x");
    const [file, folder] = [openSync(join(directory, "file"), "r"), openSync(directory, "r")];
    expect((await ask("PUT", file, { Inode: "1" })).status).toBe(409);
    expect((await ask("PUT", folder)).status).toBe(400);
    expect((await ask("PUT", file, { Descriptor: 99_999 })).status).toBe(501);
    expect(brought).toEqual([]);
    for (const fd of [file, folder]) closeSync(fd);
  });
});

test("what another program passes on is not taken for a descriptor of its own", async () => {
  await withFiles(async ({ directory, brought, ask, socket }) => {
    writeFileSync(join(directory, "file"), "x");
    const proxy = join(directory, "proxy");
    const child = Bun.spawn(
      [process.execPath, "-e", `(${passOn})(require("node:net"), ...process.argv.slice(1))`, proxy, socket],
      {
        stdout: "pipe",
      },
    );
    await child.stdout.getReader().read();
    const fd = openSync(join(directory, "file"), "r");
    expect([409, 400, 501]).toContain((await ask("PUT", fd, {}, proxy)).status);
    expect(brought).toEqual([]);
    closeSync(fd);
    child.kill();
    await child.exited;
  });
});

function passOn(net: { connect: typeof connect; createServer: typeof createServer }, path: string, to: string): void {
  const server = net.createServer((client) => client.pipe(net.connect(to)).pipe(client));
  server.listen(path, () => console.log("listening"));
}
