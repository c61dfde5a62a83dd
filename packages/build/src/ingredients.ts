import type { Digest } from "@slipway/oci";

/** Everything that went into a step's key, in a form in which a later miss can be explained. Holds no secrets. */
export interface Ingredients {
  /** The instruction as written. */
  readonly text: string;
  /** What the instruction asks for beside variables: command, user, directory, flags. Shown name to value. */
  readonly settings: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly inputs: readonly IngredientInput[];
}

export interface IngredientInput {
  /** `root` for what the step changes, else where it is used. */
  readonly role: string;
  /** What decides: a chain ID or a digest of files. */
  readonly identity: string;
  /** The step that made it, or the image's name. */
  readonly step: string;
  readonly image?: { readonly name: string; readonly id: string };
  /** Its files are listed under this digest. */
  readonly manifest?: Digest;
}
