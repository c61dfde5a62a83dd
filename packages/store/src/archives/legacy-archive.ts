import { type JsonReader, SlipwayError } from "@slipway/base";
import {
  type DiffId,
  encodeImageConfig,
  type HistoryEntry,
  type ImageConfig,
  parseReference,
  type Reference,
  readRunConfig,
  withDefaultTag,
} from "@slipway/oci";
import type { Archive, ArchivedImage } from "./archive-load.ts";

/** No image has as many; a circle of parents has more. */
const MOST_LAYERS = 512;

/**
 * Archives as Docker wrote them before 1.10: `repositories` names the topmost layer of each tag, `<id>/json` describes a layer and
 * its parent, `<id>/layer.tar` holds it. Nothing in them is a digest, so there is nothing to check them against.
 */
export function readLegacyImages(archive: Archive): ArchivedImage[] {
  const names = new Map<string, Reference[]>();
  const repositories = archive.json("repositories");
  for (const repository of repositories.keys()) {
    const tags = repositories.field(repository);
    for (const tag of tags.keys()) {
      const top = tags.field(tag).string();
      names.set(top, [...(names.get(top) ?? []), withDefaultTag(parseReference(`${repository}:${tag}`))]);
    }
  }
  return [...names].map(([top, references]) => readImage(archive, top, references));
}

function readImage(archive: Archive, top: string, names: readonly Reference[]): ArchivedImage {
  const chain = layersBelow(archive, top);
  const document = chain.at(-1)?.document;
  if (document === undefined) throw new SlipwayError("invalid", "an image in the archive has no layers");
  const created = document.field("created").optionalString();
  const author = document.field("author").optionalString();
  const image: ImageConfig = {
    os: document.field("os").optionalString() || "linux",
    architecture: document.field("architecture").optionalString() || "amd64",
    ...(created && { created }),
    ...(author && { author }),
    config: readRunConfig(document.field("config")),
    diffIds: chain.map(({ id }) => diffIdOf(archive, layerPath(id))),
    history: chain.map((layer) => historyOf(layer.document)),
  };
  return { configBytes: encodeImageConfig(image).bytes, names, layerPaths: chain.map(({ id }) => layerPath(id)) };
}

interface Layer {
  readonly id: string;
  readonly document: JsonReader;
}

/** Bottom first. */
function layersBelow(archive: Archive, top: string): Layer[] {
  const chain: Layer[] = [];
  for (let id: string | undefined = top; id; ) {
    if (!/^[0-9a-f]{64}$/.test(id)) throw new SlipwayError("invalid", "the archive names a layer by what is no ID");
    if (chain.length >= MOST_LAYERS) {
      throw new SlipwayError(
        "invalid",
        `an image in the archive has more than ${MOST_LAYERS} layers, or a circle of them`,
      );
    }
    const document: JsonReader = archive.json(`${id}/json`);
    chain.unshift({ id, document });
    id = document.field("parent").optionalString();
  }
  return chain;
}

function layerPath(id: string): string {
  return `${id}/layer.tar`;
}

function diffIdOf(archive: Archive, path: string): DiffId {
  const file = archive.file(path);
  if (file.kind === "blob" && file.facts !== undefined) return file.facts.diffId;
  const problem = file.kind === "blob" ? file.problem : undefined;
  throw new SlipwayError("invalid", `'${path}' in the archive is not a layer${problem ? `: ${problem}` : ""}`);
}

function historyOf(document: JsonReader): HistoryEntry {
  const created = document.field("created").optionalString();
  const author = document.field("author").optionalString();
  const comment = document.field("comment").optionalString();
  const command = document.field("container_config").field("Cmd").optional()?.strings() ?? [];
  return {
    ...(created && { created }),
    created_by: command.join(" "),
    ...(author && { author }),
    ...(comment && { comment }),
  };
}
