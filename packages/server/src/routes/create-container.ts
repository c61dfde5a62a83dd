import { JsonReader, SlipwayError } from "@slipway/base";
import type { ContainerConfig } from "@slipway/engine";
import { readRunConfig } from "@slipway/oci";
import type { CreateContainer } from "../backend.ts";
import { present } from "./present.ts";
import { readEndpoint } from "./read-endpoint.ts";
import { readHostConfig } from "./read-host-config.ts";

/** The body of `POST /containers/create`. Throws `invalid` that names the field. */
export function readCreateContainer(
  reader: JsonReader,
  options: { readonly name?: string | undefined; readonly platform?: string | undefined },
): CreateContainer {
  if (reader.optional() === undefined || reader.keys().length === 0) {
    throw new SlipwayError("invalid", "config cannot be empty in order to create a container");
  }
  return {
    ...present({ name: options.name, platform: options.platform }),
    config: readContainerConfig(reader),
    hostConfig: readHostConfig(reader.field("HostConfig")),
    networks: readNetworks(reader.field("NetworkingConfig").field("EndpointsConfig")),
  };
}

function readContainerConfig(reader: JsonReader): ContainerConfig {
  return {
    ...readRunConfig(withListForms(reader)),
    Image: reader.field("Image").optionalString() ?? "",
    ...present({
      Hostname: reader.field("Hostname").optionalString(),
      Domainname: reader.field("Domainname").optionalString(),
      AttachStdin: reader.field("AttachStdin").optionalBoolean(),
      AttachStdout: reader.field("AttachStdout").optionalBoolean(),
      AttachStderr: reader.field("AttachStderr").optionalBoolean(),
      Tty: reader.field("Tty").optionalBoolean(),
      OpenStdin: reader.field("OpenStdin").optionalBoolean(),
      StdinOnce: reader.field("StdinOnce").optionalBoolean(),
      NetworkDisabled: reader.field("NetworkDisabled").optionalBoolean(),
      MacAddress: reader.field("MacAddress").optionalString(),
    }),
  };
}

/** Docker takes `"Cmd": "sleep 1"` for a list of one; `Entrypoint` and `Shell` likewise. */
function withListForms(reader: JsonReader): JsonReader {
  const fields = { ...reader.object() };
  for (const name of ["Cmd", "Entrypoint", "Shell"]) {
    const value = fields[name];
    if (typeof value === "string") fields[name] = value === "" ? [] : [value];
  }
  return new JsonReader(fields, "request body");
}

function readNetworks(reader: JsonReader): CreateContainer["networks"] {
  return Object.fromEntries(reader.keys().map((name) => [name, readEndpoint(reader.field(name))]));
}
