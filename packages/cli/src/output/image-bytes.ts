import type { EngineClient } from "../client/engine-client.ts";
import { segment } from "../commands/each.ts";
import type { Io } from "../io.ts";
import { showsMeter } from "./meter.ts";

/** About how many bytes an archive of images has; asked for only when somebody sees it. */
export async function imageBytes(client: EngineClient, names: readonly string[], io: Io): Promise<number | undefined> {
  if (!showsMeter(io)) return undefined;
  try {
    const sizes = await Promise.all(
      names.map(
        async (name) => (await client.json<{ Size?: number }>("GET", `/images/${segment(name)}/json`)).Size ?? 0,
      ),
    );
    return sizes.reduce((sum, size) => sum + size, 0) || undefined;
  } catch {
    // It is a guess for the eye only.
    return undefined;
  }
}

/** About how many bytes an archive of a container's files has: those of its image. */
export async function containerBytes(client: EngineClient, name: string, io: Io): Promise<number | undefined> {
  if (!showsMeter(io)) return undefined;
  try {
    const { Image } = await client.json<{ Image: string }>("GET", `/containers/${segment(name)}/json`);
    return await imageBytes(client, [Image], io);
  } catch {
    return undefined;
  }
}
