import { type JsonReader, SlipwayError } from "@slipway/base";
import type { EndpointSettings } from "../backend.ts";
import { present } from "./present.ts";

/** An `EndpointSettings` object of a request; what an engine writes into it itself is passed over. Throws `invalid` that names the field. */
export function readEndpoint(reader: JsonReader): EndpointSettings {
  const ipam = reader.field("IPAMConfig");
  const list = (field: JsonReader) => nonEmpty(field.optional()?.strings());
  const options = reader.field("DriverOpts").optional()?.stringMap();
  return present({
    aliases: list(reader.field("Aliases")),
    links: list(reader.field("Links")),
    ipv4: ipam.field("IPv4Address").optionalString() || undefined,
    ipv6: ipam.field("IPv6Address").optionalString() || undefined,
    linkLocal: list(ipam.field("LinkLocalIPs")),
    mac: macAddress(reader.field("MacAddress").optionalString()),
    driverOptions: options !== undefined && Object.keys(options).length > 0 ? options : undefined,
    gatewayPriority: reader.field("GwPriority").optionalNumber() || undefined,
  });
}

function nonEmpty<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function macAddress(text: string | undefined): string | undefined {
  if (!text) return undefined;
  if (/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text)) return text.replaceAll("-", ":").toLowerCase();
  throw new SlipwayError("invalid", `invalid MAC address: ${text.slice(0, 100)}`);
}
