import type { Digest } from "@slipway/oci";
import type { MissReason } from "./faces.ts";
import type { IngredientInput, Ingredients } from "./ingredients.ts";
import type { FileManifest } from "./manifest.ts";

/** More changed files than this are counted, not named. */
const MOST_FILES = 50;

export interface Sources {
  readonly manifest: (digest: Digest) => FileManifest | undefined;
  /** Why the input with this role is another one, if that can be told. */
  readonly parent: (role: string) => MissReason | undefined;
}

/** Why a step with these ingredients is not what the earlier record of it was: what differs, the nearest cause first. */
export function explainMiss(before: Ingredients, now: Ingredients, sources: Sources): MissReason[] {
  if (before.text !== now.text) {
    return [{ kind: "instruction", subject: now.text, before: before.text, after: now.text }];
  }
  const reasons: MissReason[] = [
    ...differences("argument", before.buildArgs, now.buildArgs),
    ...differences("environment", before.env, now.env),
    ...inputReasons(before.inputs, now.inputs.filter(isSource), sources),
  ];
  // A copy of other files is another layer on any root.
  const isCopy = now.inputs.some(({ role }) => role.startsWith("source "));
  if (!isCopy || reasons.length === 0) {
    const roots = now.inputs.filter((input) => !isSource(input));
    reasons.push(...inputReasons(before.inputs, roots, sources));
  }
  // Settings follow from the rest (a WORKDIR that uses an ARG): named only when nothing nearer explains the miss.
  return reasons.length > 0 ? reasons : differences("instruction", before.settings, now.settings);
}

function isSource({ role }: IngredientInput): boolean {
  return role !== "root";
}

type Values = Readonly<Record<string, string>>;

function differences(kind: MissReason["kind"], before: Values, now: Values): MissReason[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((subject): MissReason[] => {
    const [old, value] = [before[subject], now[subject]];
    if (old === value) return [];
    return [{ kind, subject, ...(old !== undefined && { before: old }), ...(value !== undefined && { after: value }) }];
  });
}

function inputReasons(
  before: readonly IngredientInput[],
  now: readonly IngredientInput[],
  sources: Sources,
): MissReason[] {
  return now.flatMap((input): MissReason[] => {
    const old = before.find(({ role }) => role === input.role);
    if (old === undefined) return [{ kind: "instruction", subject: input.role, after: input.step }];
    if (old.identity === input.identity) return [];
    if (input.image !== undefined && old.image !== undefined) {
      return [{ kind: "base-image", subject: input.image.name, before: old.image.id, after: input.image.id }];
    }
    if (old.manifest !== undefined && input.manifest !== undefined) {
      const [earlier, later] = [sources.manifest(old.manifest), sources.manifest(input.manifest)];
      if (earlier !== undefined && later !== undefined) return fileReasons(earlier, later);
    }
    const nearer = sources.parent(input.role);
    if (nearer !== undefined) return [nearer];
    return [{ kind: "parent", subject: input.step, before: old.identity, after: input.identity }];
  });
}

/** Files that were added, removed or changed, and those that only have another mode or owner. */
export function fileReasons(before: FileManifest, now: FileManifest): MissReason[] {
  const reasons: MissReason[] = [];
  for (const [subject, entry] of now) {
    const old = before.get(subject);
    if (old === undefined) reasons.push({ kind: "file-added", subject });
    else if (old.content !== entry.content) {
      reasons.push({ kind: "file-changed", subject, before: shown(old.content), after: shown(entry.content) });
    } else if (old.metadata !== entry.metadata) {
      reasons.push({ kind: "metadata-changed", subject, before: old.metadata, after: entry.metadata });
    }
  }
  for (const subject of before.keys()) if (!now.has(subject)) reasons.push({ kind: "file-removed", subject });
  if (reasons.length <= MOST_FILES) return reasons;
  const more = reasons.length - MOST_FILES;
  return [...reasons.slice(0, MOST_FILES), { kind: "file-changed", subject: `and ${more} more files` }];
}

function shown(content: string): string {
  return /^[0-9a-f]{64}$/.test(content) ? content.slice(0, 12) : content;
}
