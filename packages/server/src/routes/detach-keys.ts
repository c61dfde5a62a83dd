import { SlipwayError } from "@slipway/base";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** The bytes of `ctrl-p,ctrl-q` or `a,b`. Throws `invalid`. */
export function parseDetachKeys(text: string): Uint8Array {
  return Uint8Array.from(text.split(","), (key) => {
    if (key.length === 1) return key.charCodeAt(0) & 0x7f;
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control === undefined) {
      throw new SlipwayError("invalid", `invalid detach keys (${text.slice(0, 100)}) provided: unknown key '${key}'`, {
        hint: "Write single characters or ctrl-<letter>, separated by commas.",
      });
    }
    return control.toUpperCase().charCodeAt(0) & 0x1f;
  });
}

/** Finds the detach keys in what is typed. Keys that may begin them are held back until that is decided. */
export class DetachScanner {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  scan(chunk: Uint8Array): { readonly data: Uint8Array; readonly detached: boolean } {
    // The common case: nothing held back and not one byte of the first key.
    if (this.#matched === 0 && !chunk.includes(this.#keys[0] ?? 0)) return { data: chunk, detached: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched]) {
        out.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) out.push(byte);
      else if (++this.#matched === this.#keys.length) return { data: Uint8Array.from(out), detached: true };
    }
    return { data: Uint8Array.from(out), detached: false };
  }
}
