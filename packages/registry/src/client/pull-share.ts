/** Up to here an image comes in long requests. What is on its way in them is lost when this process is killed. */
const LONG_PART = 0.8;
/** After that, what is asked for and not yet on the disk is so small a part of the image. */
const AT_RISK = 0.01;
/** Requests at once for one layer towards the end. */
export const CAREFUL_LANES = 2;
/** Less is not worth a request of its own. Bytes. */
const SMALLEST_PIECE = 32 * 1024;
/** An image below this is fetched again in no time. Bytes. */
const SMALL_IMAGE = 4 * 1024 * 1024;

/** A request that lasts. */
export interface LongRequest {
  /** Where it ends: the blob's size, or before. */
  readonly end: number;
  /** So many bytes of it lie on the disk. */
  arrived(bytes: number): void;
  done(): void;
}

/**
 * How the layers of one image share what may be on its way at once. A fast network brings megabytes between two turns of
 * this process; near the end of a pull these would be most of what is missing.
 */
export class PullShare {
  readonly #total: number;
  #arrived = 0;
  #asked = 0;
  #transfers = 0;

  /** `total` is in bytes, of all layers that are fetched. */
  constructor(total: number) {
    this.#total = total;
  }

  /** A transfer begins, some bytes of which are there; call the answer at its end. */
  enter(bytes: number): () => void {
    this.#transfers++;
    this.#arrived += bytes;
    return () => void this.#transfers--;
  }

  /** What had arrived of a transfer was thrown away. */
  lost(bytes: number): void {
    this.#arrived -= bytes;
  }

  /** So many bytes of pieces lie on the disk. */
  arrived(bytes: number): void {
    this.#arrived += bytes;
  }

  /** Whether so much has been asked for that only pieces may be. */
  get isEnding(): boolean {
    return this.#total >= SMALL_IMAGE && this.#total * LONG_PART - this.#arrived - this.#asked < SMALLEST_PIECE;
  }

  /** A request from `offset` on that may be long, or undefined when only pieces may be asked for. `whole`: there is no choice. */
  long(offset: number, size: number, whole = false): LongRequest | undefined {
    const rest = size - offset;
    const room = whole || this.#total < SMALL_IMAGE ? rest : this.#total * LONG_PART - this.#arrived - this.#asked;
    let missing = Math.min(rest, Math.floor(room));
    if (missing < Math.min(SMALLEST_PIECE, rest)) return undefined;
    const end = offset + missing;
    this.#asked += missing;
    const took = (bytes: number) => {
      const counted = Math.min(bytes, missing);
      missing -= counted;
      this.#asked -= counted;
    };
    return {
      end,
      arrived: (bytes) => {
        took(bytes);
        this.#arrived += bytes;
      },
      done: () => took(missing),
    };
  }

  /** Bytes of a piece, of which there may be `CAREFUL_LANES` on their way for each transfer. */
  get piece(): number {
    const lanes = Math.max(this.#transfers, 1) * CAREFUL_LANES;
    return Math.max(Math.floor((this.#total * AT_RISK) / lanes), SMALLEST_PIECE);
  }
}
