import dgram from "node:dgram";
import net from "node:net";
import type { PublishedPort } from "../faces.ts";
import { UdpFlows } from "../kernel/udp-flows.ts";

/** Holds one host port for as long as it is published. */
export interface PortListener {
  readonly port: PublishedPort;
  /** Where connections go that the kernel does not forward by itself. */
  forwardTo(address: string): void;
  close(): Promise<void>;
}

/** Whether somebody with this address may come through a listener, where no rule sees them. */
export type Accepts = (address: string) => boolean;

/**
 * Takes a host port, so that no other program can and the kernel says at once whether one has it (EADDRINUSE).
 *
 * The listener is a proxy as well. What comes by IPv4 never reaches it: the kernel's rules send it to the container
 * before, also from the host itself, and go on doing so when this process is gone. What reaches it is IPv6 (the kernel
 * cannot translate `::1` into a container's IPv4 address), and IPv4 in the moment after somebody flushed the rules.
 * SCTP is not held.
 */
export function openPortListener(port: PublishedPort, accepts: Accepts): Promise<PortListener> {
  if (port.protocol === "tcp") return listenTcp(port, accepts);
  if (port.protocol === "udp") return bindUdp(port, accepts);
  return Promise.resolve({ port, forwardTo: () => {}, close: () => Promise.resolve() });
}

async function listenTcp(port: PublishedPort, accepts: Accepts): Promise<PortListener> {
  let target: string | undefined;
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (target === undefined || !accepts(client.remoteAddress ?? "")) client.destroy();
    else join(client, { host: target, port: port.containerPort }, open);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: port.hostAddress, port: port.hostPort, ipv6Only: true, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.unref();
  return {
    port: { ...port, hostPort: (server.address() as net.AddressInfo).port },
    forwardTo: (address) => {
      target = address;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Both directions, each ending by itself: a half-closed connection stays open the other way. */
function join(client: net.Socket, to: { readonly host: string; readonly port: number }, open: Set<net.Socket>): void {
  const upstream = net.connect({ ...to, allowHalfOpen: true });
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    open.add(one);
    one.setNoDelay(true);
    one.on("error", () => other.destroy());
    one.on("close", () => open.delete(one));
  }
  upstream.once("connect", () => {
    client.pipe(upstream);
    upstream.pipe(client);
    client.resume();
  });
}

async function bindUdp(port: PublishedPort, accepts: Accepts): Promise<PortListener> {
  const isIpv6 = port.hostAddress.includes(":");
  const socket = dgram.createSocket({ type: isIpv6 ? "udp6" : "udp4", ipv6Only: isIpv6 });
  const flows = new UdpFlows(socket, port.containerPort, accepts);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address: port.hostAddress, port: port.hostPort, exclusive: true }, () => {
      socket.off("error", reject);
      resolve();
    });
  });
  socket.on("error", () => {});
  socket.on("message", (data, from) => flows.pass(data, from));
  socket.unref();
  return {
    port: { ...port, hostPort: socket.address().port },
    forwardTo: (address) => flows.forwardTo(address),
    close: () => {
      flows.close();
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}
