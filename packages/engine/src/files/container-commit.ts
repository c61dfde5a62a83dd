import { SlipwayError, shortId } from "@slipway/base";
import {
  familiarReference,
  type HistoryEntry,
  hostPlatform,
  type ImageConfig,
  type ImageId,
  parseReference,
  type Reference,
  type RunConfig,
  withDefaultTag,
} from "@slipway/oci";
import { type ContainerContext, publishContainerEvent } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import type { ContainerConfig } from "../faces.ts";
import { applyChanges } from "../images/image-changes.ts";
import { withoutMountPoints } from "./container-changes.ts";

export interface CommitRequest {
  readonly repository?: string;
  readonly tag?: string;
  readonly author: string;
  readonly comment: string;
  /** Lines of a Dockerfile. */
  readonly changes: readonly string[];
  /** Stands for the container's, which fills what it leaves out. */
  readonly config?: RunConfig;
}

/**
 * An image of what a container has become. The new layer is a copy: the container goes on with its own. Its processes must
 * stand still meanwhile, or what is copied is not what was looked at.
 */
export async function commitContainer(
  context: ContainerContext,
  entry: ContainerEntry,
  request: CommitRequest,
): Promise<ImageId> {
  const { store, now } = context;
  const names = request.repository === undefined ? [] : [nameOf(request.repository, request.tag)];
  const config = configOf(entry.definition.config, request);
  const image = store.images.get(entry.definition.imageId);
  const writable = entry.writable ?? store.layers.writable(entry.definition.writableId);
  if (writable === undefined)
    throw new SlipwayError("corrupt", `the writable layer of container ${entry.id} is missing`);
  await using lease = store.leases.open(`commit ${shortId(entry.id)}`);
  const below = await store.layers.view(writable.parent);
  const entries = withoutMountPoints(await store.layers.scan(writable), below);
  const layer = await store.layers.fromEntries({
    ...(writable.parent !== undefined && { parent: writable.parent }),
    ...{ entries, form: "tree", lease },
  });
  const created = new Date(now()).toISOString();
  const step: HistoryEntry = {
    created,
    created_by: [entry.definition.path, ...entry.definition.args].join(" "),
    ...(request.author !== "" && { author: request.author }),
    ...(request.comment !== "" && { comment: request.comment }),
  };
  const document: ImageConfig = {
    ...(image?.config ?? { ...hostPlatform(), diffIds: [], history: [] }),
    created,
    config,
    diffIds: [...(image?.config.diffIds ?? []), layer.diffId],
    history: [...(image?.config.history ?? []), step],
    ...(request.author !== "" && { author: request.author }),
  };
  const made = await store.images.put({ config: document, names, lease });
  const [name] = names;
  publishContainerEvent(context, entry, "commit", {
    comment: request.comment,
    imageID: made.id,
    imageRef: name === undefined ? "" : familiarReference(name),
  });
  return made.id;
}

function nameOf(repository: string, tag: string | undefined): Reference {
  const name = withDefaultTag(parseReference(tag === undefined ? repository : `${repository}:${tag}`));
  if (name.digest !== undefined) throw new SlipwayError("invalid", "refusing to create a tag with a digest reference");
  return name;
}

function configOf(container: ContainerConfig, { config, changes }: CommitRequest): RunConfig {
  const own = runConfigOf(container);
  const given = Object.fromEntries(Object.entries(config ?? {}).filter(([, value]) => !isNothing(value)));
  return applyChanges({ ...own, ...given }, changes);
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** Without what only a container has. */
function runConfigOf(container: ContainerConfig): RunConfig {
  const { Hostname: _, Domainname: _d, AttachStdin: _i, AttachStdout: _o, AttachStderr: _e, ...some } = container;
  const { Tty: _t, OpenStdin: _s, StdinOnce: _1, Image: _m, NetworkDisabled: _n, MacAddress: _a, ...rest } = some;
  return rest;
}
