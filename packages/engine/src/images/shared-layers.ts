import type { Image, Store } from "@slipway/store";

/** Tells how many bytes of an image's layers other images have too. */
export function sharedBytes(store: Store, images: readonly Image[]): (image: Image) => number {
  const counts = new Map<string, number>();
  for (const image of images) {
    for (const layer of new Set(image.layers)) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  return (image) =>
    image.layers
      .filter((layer) => (counts.get(layer) ?? 0) > 1)
      .reduce((sum, layer) => sum + (store.layers.get(layer)?.size ?? 0), 0);
}
