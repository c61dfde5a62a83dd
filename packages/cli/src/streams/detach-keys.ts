/** What Docker detaches with unless told otherwise. */
export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** The bytes of `ctrl-p,ctrl-q`, `ctrl-@`, `a`. An empty text turns detaching off. Throws an `Error`. */
export function parseDetachKeys(text: string): number[] {
  if (text === "") return [];
  return text.split(",").map((key) => {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1) return key.charCodeAt(0);
    throw new Error(`invalid detach keys (${text}): '${key}' is not a character and not ctrl- with a letter`);
  });
}

/** Finds the sequence in what is typed. Keys that may begin it are held back until the next one decides. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  push(chunk: Uint8Array): { readonly data: Uint8Array; readonly detached: boolean } {
    if (this.#keys.length === 0) return { data: chunk, detached: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        if (++this.#matched === this.#keys.length) return { data: Uint8Array.from(out), detached: true };
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
    }
    return { data: Uint8Array.from(out), detached: false };
  }
}
