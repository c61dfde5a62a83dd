import { Semaphore } from "@slipway/base";
import { type Descriptor, layerCompression, MEDIA_TYPES } from "@slipway/oci";
import type { Store } from "@slipway/store";
import type { Compressor } from "./compressor.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import {
  CompressedSource,
  formName,
  isCompressible,
  type LayerForm,
  LEVELS,
  type LocalLayer,
  plainSource,
  storedSource,
} from "./layer-content.ts";
import { ByteReporter, layerId, type OnProgress } from "./progress.ts";
import type { Repository } from "./repository.ts";
import type { RegistrySettings } from "./settings.ts";
import { mountBlob, type UploadOptions, type UploadSource, uploadBlob } from "./upload.ts";

export interface LayerToPush extends LocalLayer {
  /** As the image's manifest names it. */
  readonly descriptor: Descriptor;
  /** The manifest is to be sent as it is: only this very blob serves. */
  readonly exact: boolean;
}

export interface PushTarget {
  readonly repository: Repository;
  /** Of the image's name: the registry's own name for itself. */
  readonly domain: string;
  readonly scopes: readonly string[];
  readonly form: LayerForm | undefined;
  readonly report: OnProgress;
  readonly signal: AbortSignal;
}

export interface LayerUploadsOptions {
  readonly store: Store;
  readonly known: KnownBlobs;
  readonly compressor: Compressor;
  readonly settings: RegistrySettings;
}

/** Layers on their way to registries: what is there stays, what is elsewhere there is mounted, the rest travels. */
export class LayerUploads {
  readonly #options: LayerUploadsOptions;
  readonly #slots: Semaphore;

  constructor(options: LayerUploadsOptions) {
    this.#options = options;
    this.#slots = new Semaphore(options.settings.maxUploads);
  }

  /** Resolves with what the registry has now. */
  async push(layer: LayerToPush, target: PushTarget): Promise<Descriptor> {
    const id = layerId(layer.diffId);
    target.report({ id, status: "Preparing" });
    return await this.#slots.with(async () => {
      const there = await this.#alreadyThere(layer, target);
      if (there !== undefined) return there;
      return await this.#upload(layer, target);
    }, target.signal);
  }

  async #alreadyThere(layer: LayerToPush, target: PushTarget): Promise<Descriptor | undefined> {
    const { repository, domain, scopes, report, signal } = target;
    const { known } = this.#options;
    const id = layerId(layer.diffId);
    const candidates = this.#candidates(layer, target.form);
    for (const candidate of candidates) {
      if (!(await repository.hasBlob(candidate.digest, scopes, signal))) continue;
      known.seen(candidate.digest, domain, repository.path);
      report({ id, status: "Layer already exists" });
      return candidate;
    }
    for (const candidate of candidates) {
      for (const from of known.places(candidate.digest, domain)) {
        if (from === repository.path) continue;
        if (await mountBlob(repository, candidate.digest, from, { scopes, signal })) {
          known.seen(candidate.digest, domain, repository.path);
          report({ id, status: `Mounted from ${from}` });
          return candidate;
        }
        known.gone(candidate.digest, domain, from);
      }
    }
    return undefined;
  }

  /** The blobs that would serve, as far as they are known without making them. */
  #candidates(layer: LayerToPush, form: LayerForm | undefined): Descriptor[] {
    const { descriptor, diffId, exact } = layer;
    if (exact) return [descriptor];
    if (form !== undefined) return this.#inForm(layer, form);
    const forms = [usualForm("gzip"), usualForm("zstd"), PLAIN];
    const compressed = forms.flatMap((each) => this.#options.known.compressed(diffId, formName(each)) ?? []);
    return descriptor.digest === diffId ? compressed : [descriptor, ...compressed];
  }

  #inForm(layer: LayerToPush, form: LayerForm): Descriptor[] {
    if (form.compression === "uncompressed") return [plainDescriptor(layer)];
    const remembered = this.#options.known.compressed(layer.diffId, formName(form));
    return remembered === undefined ? [] : [remembered];
  }

  async #upload(layer: LayerToPush, target: PushTarget): Promise<Descriptor> {
    const { store, known, compressor } = this.#options;
    const { descriptor, diffId } = layer;
    const asked = target.form;
    const stored = store.blobs.stat(descriptor.digest) !== undefined;
    const isPlain = descriptor.digest === diffId;
    const isAsked = asked === undefined || serves(descriptor, asked);
    if ((isPlain && layer.exact) || (stored && !isPlain && isAsked)) {
      const source = isPlain ? plainSource(store, layer) : storedSource(store, descriptor.digest);
      return await this.#send(layer, { source, size: descriptor.size, descriptor: () => descriptor }, target);
    }
    // Where the very blob is not here, what once became of this layer may be it; if not, the manifest changes.
    const form = asked ?? this.#formOf(layer) ?? ((await isCompressible(store, layer)) ? usualForm("gzip") : PLAIN);
    if (form.compression === "uncompressed") {
      const plain = plainDescriptor(layer);
      known.remember(diffId, formName(PLAIN), plain);
      return await this.#send(
        layer,
        { source: plainSource(store, layer), size: layer.tarSize, descriptor: () => plain },
        target,
      );
    }
    const { compression, level } = form;
    const source = new CompressedSource(store, layer, compressor, { compression, level });
    const sent = await this.#send(layer, { source, size: layer.tarSize, descriptor: () => source.descriptor }, target);
    known.remember(diffId, formName(form), sent);
    return sent;
  }

  #formOf({ diffId, descriptor }: LayerToPush): LayerForm | undefined {
    const forms = [usualForm("gzip"), usualForm("zstd")];
    return forms.find((form) => this.#options.known.compressed(diffId, formName(form))?.digest === descriptor.digest);
  }

  async #send(
    layer: LayerToPush,
    content: { readonly source: UploadSource; readonly size: number; readonly descriptor: () => Descriptor },
    { repository, domain, scopes, report, signal }: PushTarget,
  ): Promise<Descriptor> {
    const id = layerId(layer.diffId);
    const reporter = new ByteReporter(report, { id, status: "Pushing", total: content.size });
    const options: UploadOptions = {
      scopes,
      signal,
      onBytes: (sent) => reporter.at(sent),
      onRetry: (wait) => report({ id, status: `Retrying in ${Math.ceil(wait / 1000)} seconds` }),
    };
    await uploadBlob(repository, content.source, options);
    const descriptor = content.descriptor();
    this.#options.known.seen(descriptor.digest, domain, repository.path);
    report({ id, status: "Pushed" });
    return descriptor;
  }
}

const PLAIN: LayerForm = { compression: "uncompressed", level: 0 };

function usualForm(compression: "gzip" | "zstd"): LayerForm {
  return { compression, level: LEVELS[compression].usual };
}

function plainDescriptor({ diffId, tarSize }: LocalLayer): Descriptor {
  return { mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size: tarSize };
}

function serves({ mediaType }: Descriptor, { compression }: LayerForm): boolean {
  return layerCompression(mediaType) === (compression === "uncompressed" ? "none" : compression);
}
