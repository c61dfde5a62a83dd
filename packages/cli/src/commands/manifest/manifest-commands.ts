import { formatReference, MEDIA_TYPES, parseManifest, withDefaultTag } from "@slipway/oci";
import { ApiError, ExitError } from "../../errors.ts";
import { atLeast, command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import type { Session } from "../../session.ts";
import { checkedReference } from "../registry/registry-access.ts";
import { LocalLists } from "./local-lists.ts";
import { byDigest, indexBytes, RemoteDocuments, type WireDescriptor } from "./remote-documents.ts";

const insecure = flag.bool("Not needed: see insecure-registries of the daemon", { hidden: true });

export const create = command({
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  args: atLeast(2),
  flags: { amend: flag.bool("Change a list that is there", { short: "a" }), insecure },
  async run({ flags, args: [list = "", ...manifests], session }) {
    const name = await full(list);
    const lists = new LocalLists(session.configDirectory);
    if (!flags.amend && (await lists.get(name)) !== undefined) {
      throw new ExitError(
        1,
        `refusing to amend an existing manifest list with no --amend flag`,
        `Or remove it: slipway manifest rm ${list}`,
      );
    }
    const remote = new RemoteDocuments(session);
    const described = await Promise.all(
      manifests.map(async (each) => {
        const ref = await full(each);
        return { ref, descriptor: onlyManifest(each, (await remote.describe(ref)).descriptor) };
      }),
    );
    for (const manifest of described) await lists.put(name, manifest);
    session.io.stdout.write(`Created manifest list ${name}\n`);
    return 0;
  },
});

export const annotate = command({
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  args: exactly(2),
  flags: {
    arch: flag.string("Architecture"),
    os: flag.string("Operating system"),
    "os-features": flag.list("Feature of the operating system"),
    "os-version": flag.string("Version of the operating system"),
    variant: flag.string("Variant of the architecture"),
  },
  async run({ flags, args: [list = "", manifest = ""], session }) {
    const [name, ref] = [await full(list), await full(manifest)];
    const lists = new LocalLists(session.configDirectory);
    const entry = (await lists.get(name))?.find((each) => each.ref === ref);
    if (entry === undefined) {
      throw new ExitError(
        1,
        `manifest for image ${manifest} does not exist in ${list}`,
        `Add it: slipway manifest create --amend ${list} ${manifest}`,
      );
    }
    const platform = {
      ...entry.descriptor.platform,
      ...(flags.arch && { architecture: flags.arch }),
      ...(flags.os && { os: flags.os }),
      ...(flags["os-features"].length > 0 && { "os.features": flags["os-features"] }),
      ...(flags["os-version"] && { "os.version": flags["os-version"] }),
      ...(flags.variant && { variant: flags.variant }),
    };
    await lists.put(name, { ref, descriptor: { ...entry.descriptor, platform } });
    return 0;
  },
});

export const push = command({
  usage: "[OPTIONS] MANIFEST_LIST",
  args: exactly(1),
  flags: { insecure, purge: flag.bool("Remove the local list afterwards", { short: "p" }) },
  async run({ flags, args: [list = ""], session }) {
    const name = await full(list);
    const lists = new LocalLists(session.configDirectory);
    const entries = await lists.get(name);
    if (entries === undefined)
      throw new ExitError(1, `${list} not found`, `Make it: slipway manifest create ${list} MANIFEST...`);
    const remote = new RemoteDocuments(session);
    const target = await checkedReference(name);
    for (const { ref, descriptor } of entries) {
      // The registry must have what the list names, in the list's own repository.
      await remote.copy(byDigest(await checkedReference(ref), descriptor), byDigest(target, descriptor));
    }
    const descriptors = entries.map(({ descriptor }) => descriptor);
    const isOci = descriptors.some(({ mediaType }) => mediaType === MEDIA_TYPES.ociManifest);
    const mediaType = isOci ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerIndex;
    session.io.stdout.write(`${await remote.put(name, indexBytes(mediaType, descriptors), mediaType)}\n`);
    if (flags.purge) await lists.remove(name);
    return 0;
  },
});

export const rm = command({
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  args: atLeast(1),
  flags: {},
  async run({ args, session }) {
    const lists = new LocalLists(session.configDirectory);
    let status = 0;
    for (const list of args) {
      if (await lists.remove(await full(list))) continue;
      session.io.stderr.write(`No such manifest: ${list}\n`);
      status = 1;
    }
    return status;
  },
});

export const inspect = command({
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  args: { min: 1, max: 2 },
  flags: { insecure, verbose: flag.bool("Show descriptor, layers and platform too", { short: "v" }) },
  async run({ flags, args, session }) {
    const name = await full(args.at(-1) ?? "");
    const lists = new LocalLists(session.configDirectory);
    if (args.length === 2) {
      const entry = (await lists.get(await full(args[0] ?? "")))?.find(({ ref }) => ref === name);
      if (entry === undefined) throw new ExitError(1, `No such manifest: ${args[1]}`);
      return print(session, { Ref: name, Descriptor: entry.descriptor });
    }
    const local = await lists.get(name);
    if (local !== undefined) {
      const manifests = local.map(({ descriptor }) => descriptor);
      return print(session, { schemaVersion: 2, mediaType: MEDIA_TYPES.dockerIndex, manifests });
    }
    const remote = new RemoteDocuments(session);
    try {
      if (flags.verbose) return print(session, await verbose(remote, name));
      return print(session, JSON.parse(new TextDecoder().decode((await remote.get(name)).bytes)));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      throw new ExitError(1, `no such manifest: ${args[0]}`, error.reason);
    }
  },
});

/** Each manifest with its descriptor, as Docker prints it: one alone, those of a list as a list. */
async function verbose(remote: RemoteDocuments, name: string): Promise<unknown> {
  const { document, descriptor } = await remote.describe(name);
  const parsed = parseManifest(document.bytes, document.mediaType);
  if (parsed.kind === "manifest") return view(name, descriptor, document.bytes);
  const reference = await checkedReference(name);
  return await Promise.all(
    parsed.manifests.map(async (entry) => {
      const each = byDigest(reference, entry);
      const { os, architecture, variant } = entry.platform ?? { os: "", architecture: "" };
      const { mediaType, digest, size } = entry;
      const platform = { architecture, os, ...(variant !== undefined && { variant }) };
      return view(each, { mediaType, digest, size, platform }, (await remote.get(each)).bytes);
    }),
  );
}

function view(ref: string, descriptor: WireDescriptor, bytes: Uint8Array): Record<string, unknown> {
  const isOci = descriptor.mediaType === MEDIA_TYPES.ociManifest;
  return {
    Ref: ref,
    Descriptor: descriptor,
    [isOci ? "OCIManifest" : "SchemaV2Manifest"]: JSON.parse(new TextDecoder().decode(bytes)),
  };
}

function print({ io }: Session, document: unknown): number {
  io.stdout.write(`${JSON.stringify(document, null, "\t")}\n`);
  return 0;
}

function onlyManifest(name: string, descriptor: WireDescriptor): WireDescriptor {
  if (descriptor.platform !== undefined) return descriptor;
  throw new ExitError(1, `${name} is a manifest list`, "Name one of its manifests by digest.");
}

async function full(name: string): Promise<string> {
  return formatReference(withDefaultTag(await checkedReference(name)));
}
