import type { Image } from "@slipway/store";

/** What a prune is about to take and could keep in the trash. */
export interface Candidate {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
  readonly what:
    | { readonly kind: "image"; readonly image: Image }
    | { readonly kind: "volume"; readonly bytes: number };
}

/**
 * The candidates that fit into `room` bytes together: what was used most recently comes first, and what does not fit any
 * more is left out. `weigh` tells for images in this order what each adds to the ones before it.
 */
export function fitting(
  candidates: readonly Candidate[],
  room: number,
  weigh: (images: readonly Image[]) => readonly number[],
): Candidate[] {
  let chosen = room > 0 ? [...candidates].sort((a, b) => b.lastUsed - a.lastUsed) : [];
  for (;;) {
    const weights = weighed(chosen, weigh);
    let bytes = 0;
    const kept = chosen.filter((_, index) => {
      const more = weights[index] ?? 0;
      if (bytes + more > room) return false;
      bytes += more;
      return true;
    });
    // Layers that one which is left out shares with others are the others' now: weighed anew until all fit.
    if (kept.length === chosen.length) return kept;
    chosen = kept;
  }
}

function weighed(candidates: readonly Candidate[], weigh: (images: readonly Image[]) => readonly number[]): number[] {
  const images = candidates.flatMap(({ what }) => (what.kind === "image" ? [what.image] : []));
  const weights = images.length === 0 ? [] : weigh(images);
  let next = 0;
  return candidates.map(({ what }) => (what.kind === "volume" ? what.bytes : (weights[next++] ?? 0)));
}
