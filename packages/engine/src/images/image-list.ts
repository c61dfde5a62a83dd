import { familiarName, familiarReference, parseReference, type Reference, withDefaultTag } from "@slipway/oci";
import type { Image, ImageStore } from "@slipway/store";
import { booleanFilter, checkFilters, type Filters, filterValues, labelsMatch, untilFilter } from "../filters.ts";

const LIST_FILTERS = ["before", "dangling", "label", "label!", "reference", "since", "until"];
const LONGEST_PATTERN = 256;

/** The images that a list shows, newest first. Throws `invalid` for unknown filters, `not-found` for unknown edges. */
export function selectImages(images: Pick<ImageStore, "list" | "resolve">, filters: Filters, now: number): Image[] {
  checkFilters(filters, LIST_FILTERS);
  const dangling = booleanFilter(filters, "dangling");
  const references = filterValues(filters, "reference");
  const before = edge(images, filterValues(filters, "before"), Math.min);
  const since = edge(images, filterValues(filters, "since"), Math.max);
  const until = untilFilter(filters, now);
  return images
    .list()
    .filter((image) => {
      const made = createdAt(image);
      return (
        (dangling === undefined || dangling === (image.names.length === 0)) &&
        (before === undefined || made < before) &&
        (since === undefined || made > since) &&
        (until === undefined || made < until) &&
        labelsMatch(filters, image.config.config.Labels ?? {}) &&
        (references === undefined || references.some((pattern) => matchesReference(image, pattern)))
      );
    })
    .sort((a, b) => createdAt(b) - createdAt(a));
}

/** When the image says that it was made, in milliseconds; when it came here, if it does not. */
export function createdAt(image: Image): number {
  const made = Date.parse(image.config.created ?? "");
  return Number.isNaN(made) ? image.storedAt : made;
}

function edge(
  images: Pick<ImageStore, "resolve">,
  names: readonly string[] | undefined,
  choose: (...times: number[]) => number,
): number | undefined {
  return names === undefined ? undefined : choose(...names.map((name) => createdAt(images.resolve(name))));
}

/** The image with those of its names that were asked for: what `docker images NAME` shows. */
export function shownNames<I extends Pick<Image, "names" | "repoDigests">>(image: I, patterns: readonly string[]): I {
  const asked = (name: Reference) => patterns.some((pattern) => nameMatches([name], pattern));
  return { ...image, names: image.names.filter(asked), repoDigests: image.repoDigests.filter(asked) };
}

/** Docker's `reference`: a pattern for the short name, with or without its tag, where `*` stops at a slash. */
export function matchesReference(image: Image, pattern: string): boolean {
  return nameMatches([...image.names, ...image.repoDigests], pattern);
}

function nameMatches(names: readonly Reference[], pattern: string): boolean {
  const texts = names.flatMap((name) => [familiarReference(name), familiarName(name)]);
  if (texts.some((text) => matchesGlob(text, pattern))) return true;
  if (/[*?[\\]/.test(pattern)) return false;
  try {
    return texts.includes(familiarReference(withDefaultTag(parseReference(pattern))));
  } catch {
    return false;
  }
}

/** path.Match of Go: `*`, `?`, `[a-z]`, `\x`. In time linear in both lengths for each star. */
export function matchesGlob(text: string, pattern: string): boolean {
  if (pattern.length > LONGEST_PATTERN) return false;
  let [at, from] = [0, 0];
  let star: { readonly pattern: number; text: number } | undefined;
  while (from < text.length || at < pattern.length) {
    if (pattern[at] === "*") {
      star = { pattern: ++at, text: from };
      continue;
    }
    const length = from < text.length ? matchOne(text.charAt(from), pattern, at) : 0;
    if (length > 0) {
      at += length;
      from++;
      continue;
    }
    // Let the last star take one character more; it takes no slash.
    if (star === undefined || star.text >= text.length || text[star.text] === "/") return false;
    star.text++;
    [at, from] = [star.pattern, star.text];
  }
  return true;
}

/** How many characters of the pattern match this one character; 0 for none. */
function matchOne(character: string, pattern: string, at: number): number {
  const wanted = pattern[at];
  if (wanted === undefined) return 0;
  if (wanted === "?") return character === "/" ? 0 : 1;
  if (wanted === "\\") return pattern[at + 1] === character ? 2 : 0;
  if (wanted !== "[") return wanted === character ? 1 : 0;
  const end = pattern.indexOf("]", at + 2);
  if (end < 0 || character === "/") return 0;
  const negated = pattern[at + 1] === "^";
  const inside = classContains(pattern.slice(at + (negated ? 2 : 1), end), character);
  return inside !== negated ? end - at + 1 : 0;
}

function classContains(set: string, character: string): boolean {
  for (let index = 0; index < set.length; index++) {
    const first = set.charAt(index);
    if (set[index + 1] === "-" && index + 2 < set.length) {
      if (character >= first && character <= set.charAt(index + 2)) return true;
      index += 2;
    } else if (first === character) return true;
  }
  return false;
}
