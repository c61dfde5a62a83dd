import { NETLINK_NETFILTER, type NetlinkRequest, NetlinkSocket } from "@slipway/sys";
import type { PublishedPort } from "../faces.ts";
import { genericHeader } from "./nfnetlink.ts";
import { attribute } from "./rtnetlink.ts";

const CT_DELETE = (1 << 8) | 2;
const CTA = { TUPLE_ORIG: 1, FILTER: 25 } as const;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO = { NUMBER: 1, DESTINATION_PORT: 3 } as const;
const CTA_FILTER_ORIG_FLAGS = 1;
const BY_PROTOCOL_AND_PORT = (1 << 3) | (1 << 5);
const IPPROTO_UDP = 17;
const FAMILIES = { ipv4: 2, ipv6: 10 } as const;

/**
 * Makes the kernel forget where it sent the packets to UDP ports of this host. A sender that goes on sending is one
 * connection to it, which otherwise keeps its way: to the program that had the port before, or to the address of a container
 * that another one has by now. Kernels before 6.7 refuse, and their entries run out by themselves in two minutes.
 */
export function forgetUdp(ports: readonly PublishedPort[]): void {
  const numbers = new Set(ports.flatMap(({ protocol, hostPort }) => (protocol === "udp" ? [hostPort] : [])));
  if (numbers.size === 0) return;
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  socket.attempt([...numbers].flatMap((port) => [forget(FAMILIES.ipv4, port), forget(FAMILIES.ipv6, port)]));
}

function forget(family: number, port: number): NetlinkRequest {
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(BY_PROTOCOL_AND_PORT);
  const body = Buffer.concat([
    genericHeader(family),
    attribute(CTA.TUPLE_ORIG, [
      attribute(CTA_TUPLE_PROTO, [
        attribute(CTA_PROTO.NUMBER, Uint8Array.of(IPPROTO_UDP)),
        attribute(CTA_PROTO.DESTINATION_PORT, Uint8Array.of(port >> 8, port & 0xff)),
      ]),
    ]),
    attribute(CTA.FILTER, [attribute(CTA_FILTER_ORIG_FLAGS, flags)]),
  ]);
  return { type: CT_DELETE, flags: 0, body, what: `forgetting connections to port ${port}` };
}
