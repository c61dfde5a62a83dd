import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scope } from "@slipway/base";
import { withNetworkNamespace } from "@slipway/sys";
import type { NameServer, Sandbox } from "../index.ts";
import { framed } from "./dns-upstream.ts";

/** A question as a client writes it, with recursion desired. */
export function question(name: string, type = 1, options: { id?: number; edns?: number } = {}): Buffer {
  const labels = name
    .split(".")
    .flatMap((label) => (label === "" ? [] : [Buffer.from([label.length]), Buffer.from(label)]));
  const head = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, options.edns === undefined ? 0 : 1]);
  head.writeUInt16BE(options.id ?? 0x1234, 0);
  const opt =
    options.edns === undefined
      ? []
      : [Buffer.from([0, 0, 41, options.edns >> 8, options.edns & 255, 0, 0, 0, 0, 0, 0])];
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1]), ...opt]);
}

export interface Answer {
  readonly rcode: number;
  readonly truncated: boolean;
  readonly bytes: Uint8Array;
  /** Of records A and AAAA: the address in hexadecimal digits or dots; of others their bytes in hexadecimal digits. */
  readonly records: readonly string[];
}

export function readAnswer(bytes: Uint8Array): Answer {
  const buffer = Buffer.from(bytes);
  let at = 12;
  const skipName = (): void => {
    for (;;) {
      const length = buffer[at] ?? 0;
      if (length >= 0xc0) at += 2;
      else at += 1 + length;
      if (length === 0 || length >= 0xc0) return;
    }
  };
  for (let each = 0; each < buffer.readUInt16BE(4); each++) {
    skipName();
    at += 4;
  }
  const records: string[] = [];
  for (let each = 0; each < buffer.readUInt16BE(6); each++) {
    skipName();
    const type = buffer.readUInt16BE(at);
    const length = buffer.readUInt16BE(at + 8);
    const data = buffer.subarray(at + 10, at + 10 + length);
    records.push(type === 1 ? data.join(".") : data.toString("hex"));
    at += 10 + length;
  }
  return { rcode: (buffer[3] ?? 0) & 15, truncated: ((buffer[2] ?? 0) & 2) !== 0, bytes, records };
}

/** Asks the resolver from inside; undefined when there is no answer in time (milliseconds). */
export async function ask(sandbox: Sandbox, query: Uint8Array, patience = 6000): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  const socket = await withNetworkNamespace(sandbox.namespacePath, () =>
    Bun.udpSocket({
      connect: { hostname: "127.0.0.11", port: 53 },
      socket: { data: (_socket, data) => resolve(readAnswer(Uint8Array.from(data))), error() {} },
    }),
  );
  const timer = setTimeout(() => resolve(undefined), patience);
  socket.send(query);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

export function lookup(sandbox: Sandbox, name: string, type = 1): Promise<Answer | undefined> {
  return ask(sandbox, question(name, type));
}

/** Asks over TCP. Several questions go in one piece; the answers in the order of their arrival. */
export async function askTcp(sandbox: Sandbox, ...queries: Uint8Array[]): Promise<Answer[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const answers: Answer[] = [];
  let received = Buffer.alloc(0);
  const socket = await withNetworkNamespace(sandbox.namespacePath, () =>
    Bun.connect({
      hostname: "127.0.0.11",
      port: 53,
      socket: {
        data(_socket, data) {
          received = Buffer.concat([received, data]);
          while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
            const end = 2 + received.readUInt16BE(0);
            answers.push(readAnswer(Uint8Array.from(received.subarray(2, end))));
            received = received.subarray(end);
          }
          if (answers.length === queries.length) resolve();
        },
        close: () => resolve(),
        error: () => resolve(),
      },
    }),
  );
  socket.write(Buffer.concat(queries.map(framed)));
  await promise;
  socket.terminate();
  return answers;
}

/** Runs a program inside, with a resolv.conf, while this process goes on answering. */
export async function runInside(sandbox: Sandbox, dir: string, ...command: string[]): Promise<string> {
  const file = join(dir, "resolv.conf");
  writeFileSync(file, "nameserver 127.0.0.11\noptions ndots:0\n");
  const script = `mount --make-rprivate / && mount --bind ${file} /etc/resolv.conf && exec "$@"`;
  const child = Bun.spawn(
    ["nsenter", `--net=${sandbox.namespacePath}`, "unshare", "--mount", "sh", "-c", script, "sh", ...command],
    { stdout: "pipe", stderr: "pipe" },
  );
  const output = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return output.join("");
}

/** What the name server of the outside has seen. */
export interface Outside extends AsyncDisposable {
  readonly server: NameServer;
  readonly seen: string[];
}

/**
 * A name server on the host: `*.good.test` is 192.0.2.1, `big.test` needs TCP, `broken.test` fails, `silent.test` gets no
 * answer, everything else does not exist.
 */
export async function outside(host = "127.0.0.1"): Promise<Outside> {
  const seen: string[] = [];
  const reply = (query: Buffer, transport: "udp" | "tcp"): Buffer | undefined => {
    const name = nameOf(query);
    seen.push(`${transport} ${name}`);
    const head = (rcode: number, count: number, flags = 0x81): Buffer => {
      const section = query.subarray(12, 12 + name.length + 2 + 4);
      const bytes = Buffer.concat([query.subarray(0, 12), section]);
      bytes.set([flags, 0x80 | rcode, 0, 1, count >> 8, count & 255, 0, 0, 0, 0], 2);
      return bytes;
    };
    const record = (last: number): Buffer =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last & 255]);
    if (name.endsWith("good.test")) return Buffer.concat([head(0, 1), record(1)]);
    if (name === "silent.test") return undefined;
    if (name === "broken.test") return head(2, 0);
    if (name !== "big.test") return head(3, 0);
    if (transport === "udp") return head(0, 0, 0x83);
    return Buffer.concat([head(0, 200), ...Array.from({ length: 200 }, (_, index) => record(index))]);
  };
  const tcp = Bun.listen({
    hostname: host,
    port: 0,
    socket: {
      data(socket, data) {
        const answer = reply(data.subarray(2), "tcp");
        if (answer !== undefined) socket.write(framed(answer));
      },
    },
  });
  const udp = await Bun.udpSocket({
    hostname: host,
    port: tcp.port,
    socket: {
      data(socket, data, port, address) {
        const answer = reply(data, "udp");
        if (answer !== undefined) socket.send(answer, port, address);
      },
    },
  });
  const scope = new Scope();
  scope.defer(() => {
    udp.close();
    tcp.stop(true);
  });
  return { server: { host, port: tcp.port }, seen, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

function nameOf(query: Buffer): string {
  const labels: string[] = [];
  for (let at = 12; query[at]; at += 1 + (query[at] ?? 0)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + (query[at] ?? 0)));
  }
  return labels.join(".");
}
