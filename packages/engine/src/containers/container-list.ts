import { SlipwayError } from "@slipway/base";
import type { ImageId } from "@slipway/oci";
import type { Image, Store } from "@slipway/store";
import { booleanFilter, checkFilters, type Filters, filterValues, labelsMatch, matchesPattern } from "../filters.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { exposedPorts, parsePorts, portKey } from "../settings/port-spec.ts";
import type { ContainerEntry } from "./container-index.ts";

const KNOWN = [
  "ancestor",
  "before",
  "exited",
  "expose",
  "health",
  "id",
  "is-task",
  "isolation",
  "label",
  "label!",
  "name",
  "network",
  "publish",
  "since",
  "status",
  "volume",
];
const STATUSES = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH = ["starting", "healthy", "unhealthy", "none"];

export interface ListContext {
  readonly store: Pick<Store, "images">;
  readonly resolve: (nameOrId: string) => ContainerEntry;
}

export interface ListOptions {
  readonly all: boolean;
  readonly limit?: number;
  readonly filters: Filters;
}

/** The containers that a list shows, newest first. Throws `invalid` for filters that do not exist or make no sense. */
export function selectContainers(
  entries: readonly ContainerEntry[],
  options: ListOptions,
  context: ListContext,
): ContainerEntry[] {
  const { filters } = options;
  checkFilters(filters, KNOWN);
  const tests = [...placeTests(filters, context), ...stateTests(filters), ...contentTests(filters, context)];
  // A limit, and whatever asks for a state, looks at stopped containers too.
  const all =
    options.all ||
    options.limit !== undefined ||
    filterValues(filters, "status") !== undefined ||
    filterValues(filters, "exited") !== undefined ||
    filterValues(filters, "before") !== undefined ||
    filterValues(filters, "since") !== undefined;
  const sorted = [...entries].sort((a, b) => b.definition.created - a.definition.created);
  const selected: ContainerEntry[] = [];
  for (const entry of sorted) {
    if (!all && !isShown(entry)) continue;
    if (!tests.every((test) => test(entry))) continue;
    selected.push(entry);
    if (options.limit !== undefined && selected.length >= options.limit) break;
  }
  return selected;
}

type Test = (entry: ContainerEntry) => boolean;

function isShown(entry: ContainerEntry): boolean {
  return ["running", "paused", "restarting"].includes(entry.state.status);
}

function placeTests(filters: Filters, context: ListContext): Test[] {
  const tests: Test[] = [];
  const created = (values: readonly string[], later: boolean): Test => {
    const times = values.map((name) => context.resolve(name).definition.created);
    const edge = later ? Math.max(...times) : Math.min(...times);
    return ({ definition }) => (later ? definition.created > edge : definition.created < edge);
  };
  const before = filterValues(filters, "before");
  if (before !== undefined) tests.push(created(before, false));
  const since = filterValues(filters, "since");
  if (since !== undefined) tests.push(created(since, true));
  return tests;
}

function stateTests(filters: Filters): Test[] {
  const tests: Test[] = [];
  const status = filterValues(filters, "status");
  if (status !== undefined) {
    checkValues("status", status, STATUSES);
    tests.push((entry) => status.includes(entry.state.status));
  }
  const exited = filterValues(filters, "exited");
  if (exited !== undefined) {
    for (const code of exited) if (!/^-?\d+$/.test(code)) throw invalidFilter("exited", code);
    tests.push(({ state }) => state.status === "exited" && exited.includes(String(state.exitCode)));
  }
  const health = filterValues(filters, "health");
  if (health !== undefined) {
    checkValues("health", health, HEALTH);
    tests.push(({ state }) => health.includes(state.health?.status ?? "none"));
  }
  // There are no swarm tasks.
  if (booleanFilter(filters, "is-task") === true) tests.push(() => false);
  return tests;
}

function contentTests(filters: Filters, context: ListContext): Test[] {
  const tests: Test[] = [(entry) => labelsMatch(filters, entry.definition.config.Labels ?? {})];
  const id = filterValues(filters, "id");
  if (id !== undefined) tests.push((entry) => id.some((value) => entry.id.startsWith(value)));
  const name = filterValues(filters, "name");
  if (name !== undefined) tests.push((entry) => matchesPattern(name, entry.name, `/${entry.name}`));
  const ancestor = filterValues(filters, "ancestor");
  if (ancestor !== undefined) tests.push(ancestorTest(ancestor, context));
  const volume = filterValues(filters, "volume");
  if (volume !== undefined) {
    tests.push(({ definition }) =>
      definition.mounts.some((mount) => volume.some((value) => value === mount.name || value === mount.destination)),
    );
  }
  const network = filterValues(filters, "network");
  if (network !== undefined) tests.push((entry) => network.some((value) => isOnNetwork(entry, value)));
  const expose = filterValues(filters, "expose");
  if (expose !== undefined) tests.push(portTest(expose, exposedKeys));
  const publish = filterValues(filters, "publish");
  if (publish !== undefined) tests.push(portTest(publish, publishedKeys));
  return tests;
}

/** Images by name or ID, and every image that is made of them, as far as their layers tell. */
function ancestorTest(values: readonly string[], { store }: ListContext): Test {
  const ancestors = values.flatMap((value) => store.images.find(value) ?? []);
  const cache = new Map<ImageId, boolean>();
  const descends = (image: Image | undefined): boolean =>
    image !== undefined &&
    ancestors.some((ancestor) => {
      const top = ancestor.layers.at(-1);
      return ancestor.id === image.id || (top !== undefined && image.layers.includes(top));
    });
  return ({ definition: { imageId } }) => {
    const known = cache.get(imageId) ?? descends(store.images.get(imageId));
    cache.set(imageId, known);
    return known;
  };
}

function isOnNetwork(entry: ContainerEntry, value: string): boolean {
  const mode = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  return (
    mode.kind === value ||
    entry.definition.attachments[value] !== undefined ||
    entry.endpoints.some(({ networkId }) => networkId.startsWith(value))
  );
}

function exposedKeys({ definition }: ContainerEntry): string[] {
  return exposedPorts(definition.config, definition.hostConfig).map(portKey);
}

function publishedKeys(entry: ContainerEntry): string[] {
  return entry.endpoints.flatMap(({ ports }) => ports.map((port) => `${port.hostPort}/${port.protocol}`));
}

function portTest(values: readonly string[], keysOf: (entry: ContainerEntry) => string[]): Test {
  const wanted = new Set(values.flatMap(parsePorts).map(portKey));
  return (entry) => keysOf(entry).some((key) => wanted.has(key));
}

function checkValues(name: string, values: readonly string[], allowed: readonly string[]): void {
  for (const value of values) if (!allowed.includes(value)) throw invalidFilter(name, value);
}

function invalidFilter(name: string, value: string): SlipwayError {
  return new SlipwayError("invalid", `invalid filter '${name}=${value}'`);
}
