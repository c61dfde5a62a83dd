import type { EngineClient } from "../client/engine-client.ts";

/** A word that may be typed, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly meaning?: string;
}

/** Whoever presses Tab does not wait longer: milliseconds. */
const PATIENCE = 1000;

async function ask<T>(client: EngineClient, path: string, filters?: Readonly<Record<string, readonly string[]>>) {
  const query = { all: "1", ...(filters && { filters: JSON.stringify(filters) }) };
  return await client.json<T>("GET", path, { query, signal: AbortSignal.timeout(PATIENCE) });
}

export async function containerNames(client: EngineClient, states?: readonly string[]): Promise<Candidate[]> {
  const filters = states === undefined ? undefined : { status: states };
  const containers = await ask<{ Names?: string[]; Image?: string; Status?: string }[]>(
    client,
    "/containers/json",
    filters,
  );
  return containers.flatMap(({ Names, Image, Status }) => {
    const name = Names?.find((candidate) => candidate.lastIndexOf("/") === 0);
    return name === undefined ? [] : [{ word: name.slice(1), meaning: `${Image ?? ""}, ${Status ?? ""}` }];
  });
}

export async function imageNames(client: EngineClient): Promise<Candidate[]> {
  const images = await ask<{ RepoTags?: string[] | null }[]>(client, "/images/json");
  return images.flatMap(({ RepoTags }) => (RepoTags ?? []).map((word) => ({ word }))).filter(isNamed);
}

function isNamed({ word }: Candidate): boolean {
  return !word.startsWith("<none>");
}

export async function networkNames(client: EngineClient): Promise<Candidate[]> {
  const networks = await ask<{ Name?: string; Driver?: string }[]>(client, "/networks");
  return networks.flatMap(({ Name, Driver }) => (Name === undefined ? [] : [{ word: Name, meaning: Driver ?? "" }]));
}

export async function volumeNames(client: EngineClient): Promise<Candidate[]> {
  const { Volumes } = await ask<{ Volumes?: { Name?: string; Driver?: string }[] | null }>(client, "/volumes");
  return (Volumes ?? []).flatMap(({ Name, Driver }) =>
    Name === undefined ? [] : [{ word: Name, meaning: Driver ?? "" }],
  );
}

/** Prunes that can be brought back, and each thing that they took. */
export async function trashIds(client: EngineClient): Promise<Candidate[]> {
  interface Item {
    readonly Id: string;
    readonly Prune: string;
    readonly Kind: string;
    readonly Target: string;
    readonly Names: readonly string[];
  }
  const { Items } = await ask<{ Items: readonly Item[] }>(client, "/slipway/trash");
  const prunes = new Map(Items.map(({ Prune }) => [Prune, Items.filter((item) => item.Prune === Prune).length]));
  return [
    ...[...prunes].map(([word, count]) => ({ word, meaning: count === 1 ? "a prune" : `a prune of ${count} things` })),
    ...Items.map(({ Id, Kind, Names, Target }) => ({ word: Id, meaning: `${Kind} ${Names[0] ?? Target}` })),
  ];
}
