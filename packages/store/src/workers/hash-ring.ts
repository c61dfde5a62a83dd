import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";

/** Bytes of a slot: what a `TarSink` sends off at once. */
export const SLOT_SIZE = 1024 * 1024;
const SLOTS = 8;
/** How long a side sleeps before it looks whether the other was told to stop, milliseconds. */
const LOOK_MS = 100;
const FILLED = 0;
const HASHED = 1;
const STATE = 2;
const LENGTHS = 4;
const ENDED = 1;
const DIGESTED = 2;
const FAILED = 3;

/** Memory that two threads share: one fills slots in turn, the other hashes them, so that reading and hashing overlap. */
export interface HashRing {
  readonly control: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly digest: SharedArrayBuffer;
}

export function hashRing(): HashRing {
  return {
    control: new SharedArrayBuffer((LENGTHS + SLOTS) * 4),
    slots: new SharedArrayBuffer(SLOTS * SLOT_SIZE),
    digest: new SharedArrayBuffer(32),
  };
}

/** The side that fills slots. `checkpoint` throws when it is to stop. */
export class RingWriter {
  readonly #ring: HashRing;
  readonly #control: Int32Array;
  readonly #checkpoint: () => void;

  constructor(ring: HashRing, checkpoint: () => void) {
    this.#ring = ring;
    this.#control = new Int32Array(ring.control);
    this.#checkpoint = checkpoint;
  }

  /** The next slot, once it has been hashed. */
  slot(): Uint8Array {
    const filled = Atomics.load(this.#control, FILLED);
    this.#wait(HASHED, (hashed) => filled - hashed < SLOTS);
    return new Uint8Array(this.#ring.slots, (filled % SLOTS) * SLOT_SIZE, SLOT_SIZE);
  }

  /** Gives the slot to the other side with as many bytes as are filled. */
  push(length: number): void {
    const filled = Atomics.load(this.#control, FILLED);
    Atomics.store(this.#control, LENGTHS + (filled % SLOTS), length);
    Atomics.add(this.#control, FILLED, 1);
    Atomics.notify(this.#control, FILLED);
  }

  /** sha256 of all that was pushed, in hex. */
  digest(): string {
    Atomics.store(this.#control, STATE, ENDED);
    Atomics.notify(this.#control, FILLED);
    this.#wait(STATE, (state) => state !== ENDED);
    return Buffer.from(new Uint8Array(this.#ring.digest)).toString("hex");
  }

  #wait(word: number, enough: (value: number) => boolean): void {
    for (;;) {
      const value = Atomics.load(this.#control, word);
      if (Atomics.load(this.#control, STATE) === FAILED) throw new SlipwayError("cancelled", "the hashing has ended");
      if (enough(value)) return;
      this.#checkpoint();
      Atomics.wait(this.#control, word, value, LOOK_MS);
    }
  }
}

/** The side that hashes, until the other has ended. `checkpoint` throws when it is to stop. */
export function hashFromRing(ring: HashRing, checkpoint: () => void): void {
  const control = new Int32Array(ring.control);
  const hash = createHash("sha256");
  const end = (state: number) => {
    Atomics.store(control, STATE, state);
    Atomics.notify(control, STATE);
    Atomics.notify(control, HASHED);
  };
  try {
    for (let hashed = 0; ; hashed++) {
      if (!awaitSlot(control, hashed, checkpoint)) break;
      const length = Atomics.load(control, LENGTHS + (hashed % SLOTS));
      hash.update(new Uint8Array(ring.slots, (hashed % SLOTS) * SLOT_SIZE, length));
      Atomics.add(control, HASHED, 1);
      Atomics.notify(control, HASHED);
    }
    new Uint8Array(ring.digest).set(hash.digest());
    end(DIGESTED);
  } catch (error) {
    end(FAILED);
    throw error;
  }
}

/** False when there is none any more. */
function awaitSlot(control: Int32Array, hashed: number, checkpoint: () => void): boolean {
  for (;;) {
    checkpoint();
    // The state first: what was filled before the end is seen after it.
    const ended = Atomics.load(control, STATE) === ENDED;
    if (Atomics.load(control, FILLED) > hashed) return true;
    if (ended) return false;
    Atomics.wait(control, FILLED, hashed, LOOK_MS);
  }
}
