import { isError, type Logger } from "@slipway/base";
import { NETLINK_NETFILTER, type NetlinkRequest, NetlinkSocket, SystemError } from "@slipway/sys";
import { runCommand } from "./command.ts";
import { text } from "./rtnetlink.ts";
import { fullRuleset, type PublishedTarget, portsOnly, type RuleScope } from "./ruleset.ts";

/** Our nft table: made, kept equal to what is published, and removed. Changes that come together are one transaction. */
export class Firewall {
  readonly #published: () => readonly PublishedTarget[];
  readonly #logger: Logger;
  #scope: RuleScope | undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;

  constructor(published: () => readonly PublishedTarget[], logger: Logger) {
    this.#published = published;
    this.#logger = logger;
  }

  /** Makes the table, also if it is there. */
  async install(scope: RuleScope): Promise<void> {
    this.#scope = scope;
    await this.#whenIdle(() => this.#full(scope));
  }

  /** Brings the published ports into the table. Whoever calls while another transaction runs shares the next one. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start(() => this.#update());
    this.#queued ??= this.#whenIdle(() => {
      this.#queued = undefined;
      return this.#update();
    });
    return this.#queued;
  }

  /** The table is about to go: changes of ports are no matter any more. */
  forget(): void {
    this.#scope = undefined;
  }

  /** Also of an earlier process. */
  static async removeTable(table: string): Promise<void> {
    if (!tableExists(table)) return;
    await runCommand(["nft", "delete", "table", "ip", table]).catch((error) => {
      // Somebody else was faster.
      if (tableExists(table)) throw error;
    });
  }

  /** True when the table should be there and is not: somebody flushed the rules of the whole machine. */
  get lost(): boolean {
    return this.#scope !== undefined && this.#running === undefined && !tableExists(this.#scope.table);
  }

  async #update(): Promise<void> {
    const scope = this.#scope;
    if (scope === undefined) return;
    if (!tableExists(scope.table)) return this.#full(scope);
    try {
      await runCommand(["nft", "-f", "-"], portsOnly(scope.table, this.#published()));
    } catch (error) {
      if (isError(error, "unavailable") && error.details.exitCode === undefined) throw error;
      this.#logger.warn("the published ports could not be changed, making the table anew", { error });
      await this.#full(scope);
    }
  }

  async #full(scope: RuleScope): Promise<void> {
    await runCommand(["nft", "-f", "-"], fullRuleset(scope, this.#published()));
  }

  /** Runs after what is running now, whether that succeeds or not. */
  async #whenIdle(work: () => Promise<void>): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => {});
    await this.#start(work);
  }

  #start(work: () => Promise<void>): Promise<void> {
    const running = work().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}

const NFT_GETTABLE = (10 << 8) | 1;
const NFTA_TABLE_NAME = 1;
const AF_INET = 2;

/** Asks the kernel itself: some microseconds, where nft takes two milliseconds. */
export function tableExists(table: string): boolean {
  const body = Buffer.concat([Buffer.from([AF_INET, 0, 0, 0]), text(NFTA_TABLE_NAME, table)]);
  const request: NetlinkRequest = { type: NFT_GETTABLE, flags: 0, body, what: `looking for the table ${table}` };
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  const [failure] = socket.attempt([request]);
  if (failure === undefined) return true;
  if (failure instanceof SystemError && failure.code === "ENOENT") return false;
  throw failure;
}
