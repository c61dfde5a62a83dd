import { SlipwayError, shortId } from "@slipway/base";
import {
  familiarReference,
  type ImageId,
  isDigest,
  looksLikeImageId,
  parseReference,
  type Reference,
} from "@slipway/oci";
import type { Image, Store, TakeStamp } from "@slipway/store";
import type { EventLog } from "../events/event-log.ts";

/** A container as far as it keeps an image. */
export interface ImageUser {
  readonly id: string;
  readonly running: boolean;
}

export interface RemovalContext {
  readonly store: Store;
  readonly events: EventLog;
  readonly usersOf: (id: ImageId) => readonly ImageUser[];
}

export interface RemovedItem {
  readonly untagged?: string;
  readonly deleted?: string;
}

/**
 * Docker's rules. A name is taken away alone while the image has others; with its last name the image goes, unless a
 * container needs it. By its ID an image goes with all its names, if there is one at most, or by force. Throws `conflict`
 * in Docker's words.
 */
export async function removeImage(
  context: RemovalContext,
  nameOrId: string,
  options: { readonly force: boolean; readonly noPrune: boolean },
): Promise<RemovedItem[]> {
  const image = context.store.images.resolve(nameOrId);
  return isIdOf(image, nameOrId)
    ? removeById(context, image, nameOrId, options)
    : removeByName(context, image, nameOrId, options);
}

function isIdOf(image: Image, text: string): boolean {
  if (looksLikeImageId(text) || isDigest(text)) return true;
  const isBeginning = image.id.startsWith(text) || image.id.slice("sha256:".length).startsWith(text);
  return isBeginning && !image.names.some((name) => familiarReference(name).split(":")[0] === text);
}

async function removeByName(
  context: RemovalContext,
  image: Image,
  text: string,
  options: { readonly force: boolean; readonly noPrune: boolean },
): Promise<RemovedItem[]> {
  if (text.includes("@")) return await removeByDigest(context, image, text, options);
  const name = nameMeant(image, text);
  const users = context.usersOf(image.id);
  const [user] = users;
  if (!options.force && image.names.length <= 1 && user !== undefined) {
    throw inUse(image, text, user);
  }
  const untagged = name === undefined ? [] : [untag(context, image, name)];
  // Other names remain, or a container needs what is now without one.
  if (image.names.length > 1 || users.length > 0) {
    return name === undefined ? untagged : [...untagged, ...forsake(context, image, name)];
  }
  return [...untagged, ...(await erase(context, image, options))];
}

/** `name@digest`: the image stays as long as it has another name. */
async function removeByDigest(
  context: RemovalContext,
  image: Image,
  text: string,
  options: { readonly force: boolean; readonly noPrune: boolean },
): Promise<RemovedItem[]> {
  const { domain, path, digest } = parseReference(text);
  const isMeant = (each: Reference) => each.domain === domain && each.path === path && each.digest === digest;
  const others = image.names.length + image.repoDigests.filter((each) => !isMeant(each)).length;
  const users = context.usersOf(image.id);
  const [user] = users;
  if (others === 0 && user !== undefined && !options.force) throw inUse(image, text, user);
  if (others === 0 && user === undefined) return await erase(context, image, options);
  return image.repoDigests.filter(isMeant).map((name) => untagDigest(context, image, name));
}

/** With the last tag of a repository go its digests, as in Docker. */
function forsake(context: RemovalContext, image: Image, { domain, path, tag }: Reference): RemovedItem[] {
  const isOfRepository = (each: Reference) => each.domain === domain && each.path === path;
  if (image.names.some((each) => isOfRepository(each) && each.tag !== tag)) return [];
  return image.repoDigests.filter(isOfRepository).map((name) => untagDigest(context, image, name));
}

function untagDigest(context: RemovalContext, image: Image, name: Reference): RemovedItem {
  context.store.images.untag(name, image.id);
  return { untagged: familiarReference(name) };
}

function inUse(image: Image, text: string, user: ImageUser): SlipwayError {
  return new SlipwayError(
    "conflict",
    `conflict: unable to remove repository reference "${text}" (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(image.id)}`,
    { hint: `Remove the container first: docker rm ${shortId(user.id)}` },
  );
}

/** The name of the image that the user wrote. */
function nameMeant(image: Image, tagged: string): Reference | undefined {
  return (
    image.names.find((name) => [familiarReference(name), `${name.domain}/${name.path}:${name.tag}`].includes(tagged)) ??
    image.names.find((name) => name.tag === "latest" && familiarReference(name) === `${tagged}:latest`) ??
    image.names.find((name) => `${name.domain}/${name.path}:${name.tag}` === `${tagged}:latest`) ??
    image.names[0]
  );
}

async function removeById(
  context: RemovalContext,
  image: Image,
  text: string,
  options: { readonly force: boolean; readonly noPrune: boolean },
): Promise<RemovedItem[]> {
  const users = context.usersOf(image.id);
  const shown = shortId(image.id);
  const running = users.find((user) => user.running);
  if (running !== undefined) {
    throw new SlipwayError(
      "conflict",
      `conflict: unable to delete ${shown} (cannot be forced) - image is being used by running container ${shortId(running.id)}`,
      { hint: `Stop and remove the container first: docker rm -f ${shortId(running.id)}` },
    );
  }
  if (!options.force) {
    const refuse = (why: string): never => {
      throw new SlipwayError("conflict", `conflict: unable to delete ${shown} (must be forced) - image is ${why}`, {
        hint: `Use force, or remove ${text} by one of its names.`,
      });
    };
    if (image.names.length > 1) refuse("referenced in multiple repositories");
    const [stopped] = users;
    if (stopped !== undefined) refuse(`being used by stopped container ${shortId(stopped.id)}`);
  }
  const untagged = image.names.map((name) => untag(context, image, name));
  return [...untagged, ...(await erase(context, image, options))];
}

function untag(context: RemovalContext, image: Image, name: Reference): RemovedItem {
  const text = familiarReference(name);
  context.store.images.untag(name);
  context.events.publish({
    type: "image",
    action: "untag",
    id: image.id,
    attributes: { ...image.config.config.Labels, name: text },
  });
  return { untagged: text };
}

/** Takes the record away, and what nobody needs any more with it; with `keep` all of it can be brought back. */
export async function erase(
  context: RemovalContext,
  image: Image,
  options: { readonly noPrune: boolean; readonly keep?: TakeStamp | undefined },
): Promise<RemovedItem[]> {
  const digests = image.repoDigests.map((name) => ({ untagged: familiarReference(name) }));
  if (options.keep === undefined) context.store.images.remove(image.id);
  else context.store.restorables.takeImage(image.id, options.keep);
  context.events.publish({ type: "image", action: "delete", id: image.id, attributes: { name: image.id } });
  const items: RemovedItem[] = [...digests, { deleted: image.id }];
  if (options.noPrune) return items;
  const { removed } = await context.store.collect();
  const own = new Set<string>(image.layers);
  const layers = removed.filter((each) => each.kind === "layer" && own.has(each.id)).map(({ id }) => id);
  // The topmost first, as they lie.
  const order = [...image.layers].reverse().filter((id) => layers.includes(id));
  return [...items, ...order.map((id) => ({ deleted: id }))];
}
