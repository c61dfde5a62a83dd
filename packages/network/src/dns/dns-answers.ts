import { Semaphore } from "@slipway/base";
import { blockContains, parseBlock, parseIp } from "../addresses/ip-block.ts";
import {
  addressRecord,
  type DnsQuestion,
  familyOfType,
  nameRecord,
  parseQuery,
  RCODE,
  reverseAddress,
  TYPE,
  truncateAnswer,
  writeAnswer,
} from "./dns-message.ts";
import type { NameIndex } from "./dns-names.ts";
import { forward, type NameServer } from "./dns-upstream.ts";

export type Transport = "udp" | "tcp";

/** Who asks. Known by the socket that the question came through, which is in the asker's namespace: nothing to forge. */
export interface DnsClient {
  readonly containerId: string;
  /** `--dns`; empty: the host's. */
  nameservers: readonly NameServer[];
  /** Questions on their way outside, or waiting for it. */
  pending: number;
  readonly permits: Semaphore;
}

/** Questions on their way outside at once: of one container, and of all. */
const FORWARDED = { each: 64, all: 512 } as const;
/** Further questions of one container that wait for their turn; more are dropped, and asked again by who means them. */
const WAITING = 256;
/** Milliseconds after which who asked has given up. */
const STALE = 4500;

export function newClient(containerId: string): DnsClient {
  return { containerId, nameservers: [], pending: 0, permits: new Semaphore(FORWARDED.each) };
}

/** Answers questions: those about containers from the index, all others by asking the outside. */
export class DnsAnswers {
  readonly #names: NameIndex;
  readonly #hostServers: () => readonly NameServer[];
  readonly #permits = new Semaphore(FORWARDED.all);

  constructor(names: NameIndex, hostServers: () => readonly NameServer[]) {
    this.#names = names;
    this.#hostServers = hostServers;
  }

  /** The answer's bytes at once, if they are known here; undefined when there is nothing to say. */
  answer(
    client: DnsClient,
    query: Uint8Array,
    transport: Transport,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const parsed = parseQuery(query);
    if (parsed.kind === "ignored") return undefined;
    if (parsed.kind === "refused") return parsed.answer;
    const { question } = parsed;
    return this.#own(client, question, transport) ?? this.#forward(client, { question, query, transport });
  }

  #own(client: DnsClient, question: DnsQuestion, transport: Transport): Uint8Array | undefined {
    if (!question.isInternet) return undefined;
    const limit = transport === "udp" ? question.udpSize : 65535;
    const reverse = question.type === TYPE.PTR ? reverseAddress(question.name) : undefined;
    if (reverse !== undefined) {
      const found = this.#names.reverse(client.containerId, reverse);
      if (found.kind === "unknown") return undefined;
      const record = found.kind === "found" ? nameRecord(found.name) : undefined;
      if (record === undefined) return writeAnswer(question, RCODE.NXDOMAIN);
      return writeAnswer(question, RCODE.NOERROR, { records: [record], limit });
    }
    const found = this.#names.lookup(client.containerId, question.name, familyOfType(question.type));
    if (found.kind === "unknown") return undefined;
    return writeAnswer(question, RCODE.NOERROR, { records: found.addresses.map(addressRecord), limit });
  }

  async #forward(
    client: DnsClient,
    { question, query, transport }: { question: DnsQuestion; query: Uint8Array; transport: Transport },
  ): Promise<Uint8Array | undefined> {
    const servers = this.#serversFor(client);
    if (servers.length === 0) return writeAnswer(question, RCODE.SERVFAIL);
    if (client.pending >= FORWARDED.each + WAITING) return undefined;
    const asked = performance.now();
    client.pending++;
    try {
      // The bytes are the socket's, and used again by the next packet.
      const copy = Uint8Array.from(query);
      const answer = await client.permits.with(() =>
        this.#permits.with(async () => {
          if (performance.now() - asked > STALE) return undefined;
          return forward({ query: copy, section: question.section, transport, servers });
        }),
      );
      if (answer === undefined) return writeAnswer(question, RCODE.SERVFAIL);
      const tooLong = transport === "udp" && answer.length > question.udpSize;
      return tooLong ? truncateAnswer(answer, question.section) : answer;
    } finally {
      client.pending--;
    }
  }

  /** Questions to the outside are a way out too (CVE-2024-29018): who is on internal networks only may ask servers on them. */
  #serversFor(client: DnsClient): readonly NameServer[] {
    const chosen = client.nameservers;
    if (this.#names.reachesOutside(client.containerId)) return chosen.length > 0 ? chosen : this.#hostServers();
    const blocks = this.#names
      .endpoints(client.containerId)
      .map(({ address, prefixLength }) => parseBlock(`${address}/${prefixLength}`));
    return chosen.filter(({ host }) => {
      const address = parseIp(host);
      return address !== undefined && blocks.some((each) => each !== undefined && blockContains(each.block, address));
    });
  }
}
