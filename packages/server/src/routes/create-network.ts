import { type JsonReader, SlipwayError } from "@slipway/base";
import type { AddressPool, CreateNetwork } from "@slipway/network";
import { present } from "./present.ts";
import { NOT_A_MANAGER } from "./refused.ts";

/** The body of `POST /networks/create`. Throws `invalid` that names the field, and refuses what belongs to a swarm as Docker does. */
export function readCreateNetwork(reader: JsonReader): CreateNetwork {
  const driver = reader.field("Driver").optionalString() || undefined;
  refuseSwarm(reader, driver);
  refuseOthers(reader);
  // No field for duplicates: names have been unique here from the first day.
  reader.field("CheckDuplicate").optionalBoolean();
  const pools = (reader.field("IPAM").field("Config").optional()?.array() ?? []).map(readPool);
  return {
    name: reader.field("Name").optionalString() ?? "",
    pools: pools.filter((pool) => Object.keys(pool).length > 1 || pool.subnet !== ""),
    labels: reader.field("Labels").stringMap(),
    options: reader.field("Options").stringMap(),
    ...present({
      driver,
      internal: reader.field("Internal").optionalBoolean(),
      ipv6: reader.field("EnableIPv6").optionalBoolean(),
      attachable: reader.field("Attachable").optionalBoolean(),
    }),
  };
}

function readPool(reader: JsonReader): AddressPool {
  const auxiliary = reader.field("AuxiliaryAddresses").optional()?.stringMap();
  return {
    subnet: reader.field("Subnet").optionalString() ?? "",
    ...present({
      gateway: reader.field("Gateway").optionalString() || undefined,
      range: reader.field("IPRange").optionalString() || undefined,
      auxiliary: auxiliary !== undefined && Object.keys(auxiliary).length > 0 ? auxiliary : undefined,
    }),
  };
}

function refuseSwarm(reader: JsonReader, driver: string | undefined): void {
  const scope = reader.field("Scope").optionalString() || "local";
  const isIngress = reader.field("Ingress").optionalBoolean() === true;
  if (driver === "overlay" || scope === "swarm" || scope === "global" || isIngress) {
    throw new SlipwayError("unavailable", NOT_A_MANAGER);
  }
  if (scope !== "local") throw new SlipwayError("invalid", `invalid scope ${scope}: networks here are local`);
}

function refuseOthers(reader: JsonReader): void {
  if (
    reader.field("ConfigOnly").optionalBoolean() === true ||
    reader.field("ConfigFrom").field("Network").optionalString()
  ) {
    throw new SlipwayError("not-implemented", "networks that only hold a configuration for others are not supported", {
      hint: "Give the network its own options.",
    });
  }
  if (reader.field("EnableIPv4").optionalBoolean() === false) {
    throw new SlipwayError("not-implemented", "networks without IPv4 are not supported");
  }
  const ipam = reader.field("IPAM").field("Driver").optionalString() || "default";
  if (ipam !== "default") {
    throw new SlipwayError("not-found", `could not find plugin ${ipam} in v1 plugin registry: plugin not found`, {
      hint: "Addresses are given out by one driver: default.",
    });
  }
}
