import type { Image } from "@slipway/store";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import { booleanFilter, checkFilters, type Filters, labelsMatch, untilFilter } from "../filters.ts";
import { selectImages } from "../images/image-list.ts";
import type { ImageDependencies } from "../images/image-service.ts";

/** The containers that a prune takes: what does not run and is not about to. */
export function prunableContainers({ index, now }: ContainerContext, filters: Filters): ContainerEntry[] {
  checkFilters(filters, ["label", "label!", "until"]);
  const until = untilFilter(filters, now());
  return index
    .all()
    .filter(
      ({ definition, state }) =>
        !isAlive(state.status) &&
        state.status !== "restarting" &&
        (until === undefined || definition.created < until) &&
        labelsMatch(filters, definition.config.Labels ?? {}),
    );
}

/**
 * The images that a prune takes: those without a name, with the filter `dangling=false` all that no container needs.
 * Containers in `gone` need nothing.
 */
export function prunableImages(
  { store, usersOf, now }: ImageDependencies,
  filters: Filters,
  gone: ReadonlySet<string> = new Set(),
): Image[] {
  checkFilters(filters, ["dangling", "label", "label!", "until"]);
  const { dangling: _, ...rest } = filters;
  const onlyDangling = booleanFilter(filters, "dangling") ?? true;
  return selectImages(store.images, rest, now()).filter(
    (image) => !(onlyDangling && image.names.length > 0) && usersOf(image.id).every(({ id }) => gone.has(id)),
  );
}
