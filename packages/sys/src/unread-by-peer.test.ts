import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unreadByPeer } from "./stream-io.ts";

test("what the other end of a unix socket has not read is known", async () => {
  const directory = mkdtempSync(join(tmpdir(), "slipway-unread-"));
  const path = join(directory, "s.sock");
  const accepted = Promise.withResolvers<Bun.Socket>();
  const listener = Bun.listen({ unix: path, socket: { open: (socket) => accepted.resolve(socket), data: () => {} } });
  const client = connect(path).pause();
  try {
    const socket = await accepted.promise;
    const fd = (socket as { fd?: number }).fd ?? -1;
    expect(unreadByPeer(fd)).toBe(0);
    socket.write("words");
    expect(unreadByPeer(fd)).toBeGreaterThanOrEqual(5);
    const words = Promise.withResolvers<string>();
    client.on("data", (data) => words.resolve(data.toString()));
    client.resume();
    expect(await words.promise).toBe("words");
    expect(unreadByPeer(fd)).toBe(0);
  } finally {
    client.destroy();
    listener.stop(true);
    rmSync(directory, { recursive: true });
  }
});
