import { ELEMENT_ZERO, GO_TYPE, type NilKind, TypedNil } from "@slipway/gotemplate";
import type { Inspected } from "./inspected.ts";

/**
 * What Docker's client knows of a document from its Go types and JSON does not tell: which objects are maps, what `null`
 * means, and which fields are there although JSON leaves them out.
 */
interface Shape {
  readonly type: string;
  /** Paths of maps, and what `index` gives for a missing key. `*` stands for any key. */
  readonly maps: Readonly<Record<string, unknown>>;
  /** Paths of pointers: their `null` prints as `<nil>`. Other `null`s are empty lists. */
  readonly pointers: readonly string[];
  /** Fields that JSON leaves out when they are empty, by the path of their object. */
  readonly omitted: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Order of an object's fields where Go's differs from the document's; those that are omitted when empty are left out. */
  readonly order?: Readonly<Record<string, readonly string[]>>;
}

const nil = (kind: NilKind) => new TypedNil(kind);

const RUN_CONFIG_OMITTED = {
  Healthcheck: nil("pointer"),
  Shell: nil("slice"),
  StopSignal: "",
  StopTimeout: nil("pointer"),
  OnBuild: nil("slice"),
  ExposedPorts: nil("map"),
  ArgsEscaped: false,
  NetworkDisabled: false,
};

/** Of the OCI image configuration's `config`, and Docker's own additions to it. */
const IMAGE_CONFIG_ORDER = [
  ...["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"],
  ...["ArgsEscaped", "Healthcheck", "OnBuild", "Shell"],
];

const SHAPES: Readonly<Record<Inspected["type"], Shape>> = {
  container: {
    type: "container.InspectResponse",
    maps: {
      "Config.Labels": "",
      "Config.ExposedPorts": {},
      "Config.Volumes": {},
      "GraphDriver.Data": "",
      "HostConfig.Annotations": "",
      "HostConfig.LogConfig.Config": "",
      "HostConfig.PortBindings": nil("slice"),
      "HostConfig.StorageOpt": "",
      "HostConfig.Sysctls": "",
      "HostConfig.Tmpfs": "",
      "NetworkSettings.Networks": nil("pointer"),
      "NetworkSettings.Networks.*.DriverOpts": "",
      "NetworkSettings.Ports": nil("slice"),
    },
    pointers: [
      "State.Health",
      "Config.Healthcheck",
      "Config.StopTimeout",
      "HostConfig.Init",
      "HostConfig.MemorySwappiness",
      "HostConfig.OomKillDisable",
      "HostConfig.PidsLimit",
      "NetworkSettings.Networks.*.IPAMConfig",
    ],
    omitted: {
      "": { SizeRw: nil("pointer"), SizeRootFs: nil("pointer"), ImageManifestDescriptor: nil("pointer") },
      State: { Health: nil("pointer") },
      Config: RUN_CONFIG_OMITTED,
      HostConfig: {
        Annotations: nil("map"),
        Init: nil("pointer"),
        Mounts: nil("slice"),
        StorageOpt: nil("map"),
        Sysctls: nil("map"),
        Tmpfs: nil("map"),
      },
      "NetworkSettings.Networks.*.IPAMConfig": { IPv4Address: "", IPv6Address: "", LinkLocalIPs: nil("slice") },
    },
  },
  image: {
    type: "image.InspectResponse",
    maps: {
      "Config.Labels": "",
      "Config.ExposedPorts": {},
      "Config.Volumes": {},
      "GraphDriver.Data": "",
    },
    pointers: ["Config", "Config.Healthcheck", "Descriptor"],
    omitted: {
      "": { Variant: "", OsVersion: "", Descriptor: nil("pointer"), Manifests: nil("slice") },
      Config: {
        ...RUN_CONFIG_OMITTED,
        User: "",
        Env: nil("slice"),
        Cmd: nil("slice"),
        Entrypoint: nil("slice"),
        Volumes: nil("map"),
        Labels: nil("map"),
        WorkingDir: "",
      },
    },
    order: { Config: IMAGE_CONFIG_ORDER },
  },
  volume: {
    type: "volume.Volume",
    maps: { Labels: "", Options: "", Status: nil("pointer") },
    pointers: ["UsageData", "ClusterVolume"],
    omitted: { "": { CreatedAt: "", Status: nil("map"), UsageData: nil("pointer"), ClusterVolume: nil("pointer") } },
  },
  network: {
    type: "network.Inspect",
    maps: {
      Labels: "",
      Options: "",
      Containers: nil("pointer"),
      "IPAM.Options": "",
      "IPAM.Config.*.AuxiliaryAddresses": "",
    },
    pointers: [],
    omitted: {
      "": { Peers: nil("slice"), Services: nil("map") },
      "IPAM.Config.*": { Subnet: "", IPRange: "", Gateway: "", AuxiliaryAddresses: nil("map") },
    },
  },
};

/** The document as Docker's templates see it. */
export function inspectedView({ type, text }: Inspected): unknown {
  return view(JSON.parse(text) as unknown, { shape: SHAPES[type], path: "" });
}

interface Place {
  readonly shape: Shape;
  readonly path: string;
}

function view(value: unknown, place: Place): unknown {
  const { shape, path } = place;
  if (value === null) return nil(path in shape.maps ? "map" : shape.pointers.includes(path) ? "pointer" : "slice");
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((element) => view(element, { shape, path: join(path, "*") }));
  const isMap = path in shape.maps;
  const prototype = isMap ? { [ELEMENT_ZERO]: shape.maps[path] } : structPrototype(value, place);
  const seen = Object.create(prototype) as Record<string, unknown>;
  // Go writes maps sorted, and structs in the order of their fields, which is the document's.
  const entries = isMap ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : fieldsOf(value, place);
  for (const [key, element] of entries) {
    seen[key] = view(element, { shape, path: join(path, isMap ? "*" : key) });
  }
  return seen;
}

function fieldsOf(value: object, { shape, path }: Place): [string, unknown][] {
  const order = shape.order?.[path];
  if (order === undefined) return Object.entries(value);
  const omitted = shape.omitted[path] ?? {};
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(value)
    .filter(([name, element]) => !(name in omitted) || !isEmpty(element))
    .sort(([a], [b]) => rank(a) - rank(b));
}

function isEmpty(value: unknown): boolean {
  return value === null || value === "" || value === false || (Array.isArray(value) && value.length === 0);
}

/** Go's field is called `ID` where JSON says `Id`. */
function structPrototype(value: object, { shape, path }: Place): object {
  const id = path === "" && "Id" in value ? { ID: value.Id } : {};
  return { [GO_TYPE]: shape.type, ...shape.omitted[path], ...id };
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
