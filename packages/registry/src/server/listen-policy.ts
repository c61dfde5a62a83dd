import { SlipwayError } from "@slipway/base";
import { isLoopback } from "../client/networks.ts";

export interface ListenPolicy {
  readonly hostname: string;
  readonly hasAuth: boolean;
  /** The user asked for it by name. */
  readonly allowOpen: boolean;
}

/** Who can be reached from outside must know who asks. Throws `forbidden`. */
export function checkListenPolicy({ hostname, hasAuth, allowOpen }: ListenPolicy): void {
  if (hasAuth || allowOpen || isLoopback(hostname)) return;
  throw new SlipwayError("forbidden", `without authentication a registry does not listen at ${hostname}`, {
    hint: "Give --htpasswd FILE or --token-auth; or say --allow-unauthenticated if everybody may push and delete.",
  });
}
