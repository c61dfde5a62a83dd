import {
  formatPlatform,
  formatReference,
  MEDIA_TYPES,
  parseManifest,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import { ExitError } from "../../errors.ts";
import { atLeast, command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { checkedReference } from "../registry/registry-access.ts";
import { byDigest, indexBytes, RemoteDocuments, type WireDescriptor } from "./remote-documents.ts";

export const inspect = command({
  usage: "[OPTIONS] NAME",
  args: exactly(1),
  flags: { raw: flag.bool("Show the document as it is") },
  async run({ flags, args: [given = ""], session }) {
    const reference = withDefaultTag(await checkedReference(given));
    const name = formatReference(reference);
    const { bytes, mediaType, digest } = await new RemoteDocuments(session).get(name);
    const { stdout } = session.io;
    if (flags.raw) {
      stdout.write(bytes);
      return 0;
    }
    const parsed = parseManifest(bytes, mediaType);
    stdout.write(`Name:      ${name}\nMediaType: ${parsed.mediaType}\nDigest:    ${digest}\n`);
    if (parsed.kind === "manifest") return 0;
    stdout.write("           \nManifests: \n");
    for (const entry of parsed.manifests) {
      stdout.write(`  Name:        ${byDigest(reference, entry)}\n  MediaType:   ${entry.mediaType}\n`);
      if (entry.platform !== undefined) stdout.write(`  Platform:    ${formatPlatform(entry.platform)}\n`);
      for (const [key, value] of Object.entries(entry.annotations ?? {})) stdout.write(`    ${key}: ${value}\n`);
      stdout.write("               \n");
    }
    return 0;
  },
});

export const create = command({
  usage: "[OPTIONS] SOURCE [SOURCE...]",
  args: atLeast(1),
  flags: {
    "dry-run": flag.bool("Show the document and push nothing"),
    tag: flag.list("Name to give", { short: "t" }),
  },
  examples: [
    [
      "slipway buildx imagetools create -t localhost:5000/web:stable localhost:5000/web:1",
      "Copy within or between registries",
    ],
    ["slipway buildx imagetools create -t reg/web:1 reg/web:1-amd64 reg/web:1-arm64", "One name for two platforms"],
  ],
  async run({ flags, args, session }) {
    if (flags.tag.length === 0 && !flags["dry-run"])
      throw new ExitError(1, "can't push without tags: give -t or --dry-run");
    const remote = new RemoteDocuments(session);
    const sources = await Promise.all(args.map(async (each) => withDefaultTag(await checkedReference(each))));
    const [only] = sources;
    if (only !== undefined && sources.length === 1 && !flags["dry-run"]) {
      for (const tag of flags.tag) await remote.copy(formatReference(only), await target(tag));
      return 0;
    }
    const entries = (await Promise.all(sources.map((source) => entriesOf(remote, source)))).flat();
    const bytes = indexBytes(
      MEDIA_TYPES.ociIndex,
      entries.map(({ descriptor }) => descriptor),
    );
    if (flags["dry-run"]) {
      session.io.stdout.write(bytes);
      return 0;
    }
    for (const tag of flags.tag) {
      const name = await target(tag);
      const place = await checkedReference(name);
      for (const { source, descriptor } of entries)
        await remote.copy(byDigest(source, descriptor), byDigest(place, descriptor));
      await remote.put(name, bytes, MEDIA_TYPES.ociIndex);
    }
    return 0;
  },
});

interface Entry {
  readonly source: Reference;
  readonly descriptor: WireDescriptor;
}

/** What a source brings into an index: itself, or all that its own index names. */
async function entriesOf(remote: RemoteDocuments, source: Reference): Promise<Entry[]> {
  const { document, descriptor } = await remote.describe(formatReference(source));
  const parsed = parseManifest(document.bytes, document.mediaType);
  if (parsed.kind === "manifest") return [{ source, descriptor }];
  const { manifests = [] } = JSON.parse(new TextDecoder().decode(document.bytes)) as { manifests?: WireDescriptor[] };
  return manifests.map((each) => ({ source, descriptor: each }));
}

async function target(name: string): Promise<string> {
  return formatReference(withDefaultTag(await checkedReference(name)));
}
