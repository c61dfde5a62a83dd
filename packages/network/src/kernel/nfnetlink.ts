import type { NetlinkRequest } from "@slipway/sys";
import { attribute, text } from "./rtnetlink.ts";

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
const NFTA_SET_ELEM = { KEY: 1, DATA: 2, KEY_END: 10 } as const;
const NFTA_DATA_VALUE = 1;
const AF_UNSPEC = 0;
/** One table for both families. */
const NFPROTO_INET = 1;

/** struct nfgenmsg; its last field is in the order of the network. */
export function genericHeader(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >> 8, resource & 0xff);
}

/** All or nothing: what is between the marks becomes visible together. */
export function batch(requests: readonly NetlinkRequest[]): NetlinkRequest[] {
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
  const body = Buffer.concat([genericHeader(NFPROTO_INET), text(NFTA_TABLE_NAME, table)]);
  return { type: MSG.GETTABLE, flags: 0, body, what: `looking for the table ${table}` };
}

export function deleteTable(table: string): NetlinkRequest[] {
  const body = Buffer.concat([genericHeader(NFPROTO_INET), text(NFTA_TABLE_NAME, table)]);
  return batch([{ type: MSG.DELTABLE, flags: 0, body, what: `removing the table ${table}` }]);
}

/** An element of a set or map, as bytes in the order of the network. */
export interface SetElement {
  readonly set: string;
  readonly key: Uint8Array;
  /** The last key of an interval. */
  readonly end?: Uint8Array;
  /** What a map has for the key. */
  readonly data?: Uint8Array;
}

export interface ElementChange {
  readonly add: readonly SetElement[];
  readonly remove: readonly SetElement[];
}

/** An attribute's length has 16 bits, and each message gets an answer, for which a socket's memory is small. */
const ELEMENTS_A_MESSAGE = 256;

/** Removals first: a port may have a new owner in the same change. */
export function changeElements(table: string, change: ElementChange): NetlinkRequest[] {
  return batch([
    ...bySet(change.remove).map((each) => elements(MSG.DELSETELEM, 0, table, each)),
    ...bySet(change.add).map((each) => elements(MSG.NEWSETELEM, NLM_F_CREATE, table, each)),
  ]);
}

function bySet(all: readonly SetElement[]): SetElement[][] {
  const groups: SetElement[][] = [];
  for (const set of new Set(all.map((each) => each.set))) {
    const mine = all.filter((each) => each.set === set);
    for (let at = 0; at < mine.length; at += ELEMENTS_A_MESSAGE) groups.push(mine.slice(at, at + ELEMENTS_A_MESSAGE));
  }
  return groups;
}

function elements(type: number, flags: number, table: string, group: readonly SetElement[]): NetlinkRequest {
  const value = (kind: number, bytes: Uint8Array): Uint8Array => attribute(kind, [attribute(NFTA_DATA_VALUE, bytes)]);
  const list = group.map(({ key, end, data }) => {
    const parts = [value(NFTA_SET_ELEM.KEY, key)];
    if (end !== undefined) parts.push(value(NFTA_SET_ELEM.KEY_END, end));
    if (data !== undefined && type === MSG.NEWSETELEM) parts.push(value(NFTA_SET_ELEM.DATA, data));
    return attribute(NFTA_LIST_ELEM, parts);
  });
  const set = group[0]?.set ?? "";
  const body = Buffer.concat([
    genericHeader(NFPROTO_INET),
    text(NFTA_SET_ELEM_LIST.TABLE, table),
    text(NFTA_SET_ELEM_LIST.SET, set),
    attribute(NFTA_SET_ELEM_LIST.ELEMENTS, list),
  ]);
  return { type, flags, body, what: `changing the set ${set}` };
}
