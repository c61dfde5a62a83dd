import type { Logger } from "@slipway/base";
import { NETLINK_NETFILTER, NetlinkSocket, SystemError } from "@slipway/sys";
import { runCommand } from "./command.ts";
import { changePorts, deleteTable, getTable } from "./nfnetlink.ts";
import { fullRuleset, type PublishedTarget, type RuleScope } from "./ruleset.ts";

/** Our nft table: made by one transaction, then kept equal to what is published, and removed. */
export class Firewall {
  readonly #published: () => readonly PublishedTarget[];
  readonly #logger: Logger;
  #socket: NetlinkSocket | undefined;
  #scope: RuleScope | undefined;
  #installing: Promise<void> | undefined;
  /** What the kernel's maps hold, by key. */
  #present = new Map<string, PublishedTarget>();

  constructor(published: () => readonly PublishedTarget[], logger: Logger) {
    this.#published = published;
    this.#logger = logger;
  }

  /** Makes the table anew, with what is published. */
  install(scope: RuleScope): Promise<void> {
    this.#scope = scope;
    const installing = this.#make(scope).finally(() => {
      if (this.#installing === installing) this.#installing = undefined;
    });
    this.#installing = installing;
    return installing;
  }

  async #make(scope: RuleScope): Promise<void> {
    this.removeTable(scope.table);
    await runCommand(["nft", "-f", "-"], fullRuleset(scope));
    this.#present.clear();
    if (this.#scope === scope) this.#update(scope);
  }

  /** Brings the published ports into the table. */
  async sync(): Promise<void> {
    // Its end takes all that is published then; a failure is reported to whoever installs.
    if (this.#installing !== undefined) await this.#installing.catch(() => {});
    const scope = this.#scope;
    if (scope === undefined) return;
    try {
      this.#update(scope);
    } catch (error) {
      this.#logger.warn("the published ports could not be changed, making the table anew", { error });
      await this.install(scope);
    }
  }

  #update(scope: RuleScope): void {
    // IPv6 goes through the listener that holds the port.
    const wanted = new Map(
      this.#published().flatMap((port) => (port.hostAddress.includes(":") ? [] : [[keyOf(port), port]])),
    );
    const add = [...wanted].flatMap(([key, port]) => (this.#present.has(key) ? [] : [port]));
    const remove = [...this.#present].flatMap(([key, port]) => (wanted.has(key) ? [] : [port]));
    if (add.length === 0 && remove.length === 0) return;
    this.#netlink().transact(changePorts(scope.table, { add, remove }));
    this.#present = wanted;
  }

  /** The table is about to go: changes of ports are no matter any more. */
  forget(): void {
    this.#scope = undefined;
    this.#present.clear();
  }

  /** Also one of an earlier process; again does nothing. */
  removeTable(table: string): void {
    if (!this.hasTable(table)) return;
    try {
      this.#netlink().transact(deleteTable(table));
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
    }
  }

  /** True when the table should be there and is not: somebody flushed the rules of the whole machine. */
  get lost(): boolean {
    return this.#scope !== undefined && this.#installing === undefined && !this.hasTable(this.#scope.table);
  }

  hasTable(table: string): boolean {
    const [failure] = this.#netlink().attempt([getTable(table)]);
    if (failure === undefined) return true;
    if (failure.code === "ENOENT") return false;
    throw failure;
  }

  /** Open for the life of the process: closing it would wait for the kernel to forget what was deleted through it. */
  #netlink(): NetlinkSocket {
    return (this.#socket ??= new NetlinkSocket(NETLINK_NETFILTER));
  }
}

function keyOf(port: PublishedTarget): string {
  return `${port.protocol} ${port.hostAddress} ${port.hostPort} ${port.address} ${port.containerPort}`;
}
