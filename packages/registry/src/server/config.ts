import { readFileSync } from "node:fs";
import { errorMessage, JsonReader, SlipwayError } from "@slipway/base";
import { readUpstream, type Upstream } from "./cache/pull-through.ts";
import { type RetentionRule, readAge, readRetentionRule } from "./collect/retention.ts";
import { readWebhook, type Webhook } from "./observe/webhooks.ts";
import { type Quota, readQuota } from "./repository/quotas.ts";

/** What a registry does beyond serving what is pushed. */
export interface RegistryRules {
  readonly retention: readonly RetentionRule[];
  readonly quotas: readonly Quota[];
  readonly webhooks: readonly Webhook[];
  readonly upstreams: readonly Upstream[];
}

export const NO_RULES: RegistryRules = { retention: [], quotas: [], webhooks: [], upstreams: [] };

/**
 * Reads a configuration file: JSON with the lists `retention`, `quotas`, `webhooks` and `upstreams`. Throws `invalid` that
 * names the field.
 */
export function readRegistryRules(path: string): RegistryRules {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new SlipwayError("invalid", `cannot read ${path}: ${errorMessage(error)}`, { cause: error });
  }
  const reader = JsonReader.parse(text, path);
  const unknown = reader.keys().find((key) => !Object.hasOwn(NO_RULES, key));
  if (unknown !== undefined) {
    throw new SlipwayError("invalid", `${path}: unknown field '${unknown}'`, {
      hint: `It may have: ${Object.keys(NO_RULES).join(", ")}.`,
    });
  }
  return {
    retention: reader.field("retention").array().map(readRetentionRule),
    quotas: reader.field("quotas").array().map(readQuota),
    webhooks: reader.field("webhooks").array().map(readWebhook),
    upstreams: reader
      .field("upstreams")
      .array()
      .map((entry) => readUpstream(entry, readAge)),
  };
}
