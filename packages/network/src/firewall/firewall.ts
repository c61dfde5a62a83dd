import type { Logger } from "@slipway/base";
import { NETLINK_NETFILTER, NetlinkSocket, SystemError } from "@slipway/sys";
import { runCommand } from "../kernel/command.ts";
import { changeElements, deleteTable, getTable, type SetElement } from "../kernel/nfnetlink.ts";
import { fullRuleset } from "./ruleset.ts";

const ELEMENTS_A_TRANSACTION = 500;

/**
 * Our nft table, from the first bridge to the last: made by one transaction, then its sets and maps are kept equal to what
 * the rows say, each change in one transaction.
 */
export class Firewall {
  readonly #table: string;
  readonly #wanted: () => readonly SetElement[];
  readonly #logger: Logger;
  #socket: NetlinkSocket | undefined;
  /** The table should be there. */
  #active = false;
  #installing: Promise<void> | undefined;
  /** What the kernel's sets hold, by all their bytes. */
  #present = new Map<string, SetElement>();

  constructor(table: string, wanted: () => readonly SetElement[], logger: Logger) {
    this.#table = table;
    this.#wanted = wanted;
    this.#logger = logger;
  }

  /** Makes the table anew, with all that belongs in it. */
  install(): Promise<void> {
    this.#active = true;
    const installing = this.#make().finally(() => {
      if (this.#installing === installing) this.#installing = undefined;
    });
    this.#installing = installing;
    return installing;
  }

  async #make(): Promise<void> {
    this.#deleteTable();
    await runCommand(["nft", "-f", "-"], fullRuleset(this.#table));
    this.#present.clear();
    if (this.#active) this.#update();
  }

  /** Makes the table's sets equal to what is wanted now; the table itself, if it is not there. */
  async sync(): Promise<void> {
    // Its end takes all that is wanted then; a failure is reported to whoever installs.
    if (this.#installing !== undefined) await this.#installing.catch(() => {});
    if (!this.#active) return;
    try {
      this.#update();
    } catch (error) {
      this.#logger.warn("the rules could not be changed, making the table anew", { error });
      await this.install();
    }
  }

  /** As `sync`, and turns the table on. */
  async ensure(): Promise<void> {
    if (!this.#active || this.lost) await this.install();
    else await this.sync();
  }

  #update(): void {
    const wanted = new Map(this.#wanted().map((each) => [keyOf(each), each]));
    const add = [...wanted].flatMap(([key, each]) => (this.#present.has(key) ? [] : [each]));
    const remove = [...this.#present].flatMap(([key, each]) => (wanted.has(key) ? [] : [each]));
    if (add.length === 0 && remove.length === 0) return;
    // A kernel argument is 128 KiB at most. Only a table made anew for a thousand ports takes more than one transaction.
    for (let at = 0; at < Math.max(add.length, remove.length); at += ELEMENTS_A_TRANSACTION) {
      const part = (list: SetElement[]): SetElement[] => list.slice(at, at + ELEMENTS_A_TRANSACTION);
      this.#netlink().transact(changeElements(this.#table, { add: part(add), remove: part(remove) }));
    }
    this.#present = wanted;
  }

  /** Turns the table off, also one of an earlier process; again does nothing. */
  async remove(): Promise<void> {
    this.#active = false;
    await this.#installing?.catch(() => {});
    if (this.#active) return;
    this.#present.clear();
    this.#deleteTable();
  }

  #deleteTable(): void {
    if (!this.#hasTable()) return;
    try {
      this.#netlink().transact(deleteTable(this.#table));
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
    }
  }

  /** True when the table should be there and is not: somebody flushed the rules of the whole machine. */
  get lost(): boolean {
    return this.#active && this.#installing === undefined && !this.#hasTable();
  }

  #hasTable(): boolean {
    const [failure] = this.#netlink().attempt([getTable(this.#table)]);
    if (failure === undefined) return true;
    if (failure.code === "ENOENT") return false;
    throw failure;
  }

  /** Open for the life of the process: closing it would wait for the kernel to forget what was deleted through it. */
  #netlink(): NetlinkSocket {
    return (this.#socket ??= new NetlinkSocket(NETLINK_NETFILTER));
  }
}

function keyOf({ set, key, end, data }: SetElement): string {
  const hex = (bytes: Uint8Array | undefined): string =>
    bytes === undefined ? "" : Buffer.from(bytes).toString("hex");
  return `${set} ${hex(key)} ${hex(end)} ${hex(data)}`;
}
