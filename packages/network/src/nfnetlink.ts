import type { NetlinkRequest } from "@slipway/sys";
import { attribute, ipv4Bytes, text } from "./rtnetlink.ts";
import { BOUND_PORT_MAP, PORT_MAP, type PublishedTarget } from "./ruleset.ts";

/**
 * The few messages of nf_tables that are sent while containers come and go. The rules themselves are text for `nft`; but
 * a process for each published port costs 2.5 ms, and 13 for each one taken back, because a socket that has deleted
 * something waits in its close for the kernel to have forgotten it. One socket that stays open does not.
 */

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const MSG = {
  GETTABLE: (NFNL_SUBSYS_NFTABLES << 8) | 1,
  DELTABLE: (NFNL_SUBSYS_NFTABLES << 8) | 2,
  NEWSETELEM: (NFNL_SUBSYS_NFTABLES << 8) | 12,
  DELSETELEM: (NFNL_SUBSYS_NFTABLES << 8) | 14,
} as const;
const NLM_F_CREATE = 0x400;
const NFTA_TABLE_NAME = 1;
const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM = { KEY: 1, DATA: 2 } as const;
const NFTA_DATA_VALUE = 1;
const AF_UNSPEC = 0;
const AF_INET = 2;
const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

/** struct nfgenmsg; its last field is in the order of the network. */
function genericHeader(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 0xff);
}

/** All or nothing: what is between the marks becomes visible together. */
function batch(requests: readonly NetlinkRequest[]): NetlinkRequest[] {
  const mark = (type: number): NetlinkRequest => ({
    type,
    flags: 0,
    body: genericHeader(AF_UNSPEC, NFNL_SUBSYS_NFTABLES),
    what: "changing the rules",
    silent: true,
  });
  return [mark(NFNL_MSG_BATCH_BEGIN), ...requests, mark(NFNL_MSG_BATCH_END)];
}

/** Fails with ENOENT if there is none. */
export function getTable(table: string): NetlinkRequest {
  const body = Buffer.concat([genericHeader(AF_INET), text(NFTA_TABLE_NAME, table)]);
  return { type: MSG.GETTABLE, flags: 0, body, what: `looking for the table ${table}` };
}

export function deleteTable(table: string): NetlinkRequest[] {
  const body = Buffer.concat([genericHeader(AF_INET), text(NFTA_TABLE_NAME, table)]);
  return batch([{ type: MSG.DELTABLE, flags: 0, body, what: `removing the table ${table}` }]);
}

export interface PortChange {
  readonly add: readonly PublishedTarget[];
  readonly remove: readonly PublishedTarget[];
}

/** Removals first: a port may have a new owner in the same change. */
export function changePorts(table: string, change: PortChange): NetlinkRequest[] {
  const removals = change.remove.map((port) => element(MSG.DELSETELEM, 0, table, port));
  return batch([...removals, ...change.add.map((port) => element(MSG.NEWSETELEM, NLM_F_CREATE, table, port))]);
}

function element(type: number, flags: number, table: string, port: PublishedTarget): NetlinkRequest {
  const isBound = port.hostAddress !== "0.0.0.0";
  const service = portBytes(port.hostPort);
  const protocol = Uint8Array.of(PROTOCOL_NUMBERS[port.protocol], 0, 0, 0);
  const key = Buffer.concat(isBound ? [ipv4Bytes(port.hostAddress), protocol, service] : [protocol, service]);
  const target = Buffer.concat([ipv4Bytes(port.address), portBytes(port.containerPort)]);
  const parts = [attribute(NFTA_SET_ELEM.KEY, [attribute(NFTA_DATA_VALUE, key)])];
  if (type === MSG.NEWSETELEM) parts.push(attribute(NFTA_SET_ELEM.DATA, [attribute(NFTA_DATA_VALUE, target)]));
  const body = Buffer.concat([
    genericHeader(AF_INET),
    text(NFTA_SET_ELEM_LIST.TABLE, table),
    text(NFTA_SET_ELEM_LIST.SET, isBound ? BOUND_PORT_MAP : PORT_MAP),
    attribute(NFTA_SET_ELEM_LIST.ELEMENTS, [attribute(NFTA_LIST_ELEM, parts)]),
  ]);
  return { type, flags, body, what: `publishing ${port.hostAddress}:${port.hostPort}/${port.protocol}` };
}

/** A field of a concatenation takes whole words. */
function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff, 0, 0);
}
