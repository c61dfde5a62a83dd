import type { Database } from "bun:sqlite";
import type { ContainerIndex } from "../containers/container-index.ts";
import type { EngineEvent } from "../faces.ts";

/**
 * When an image last had a container made or started from it, and a volume was last mounted: containers take that with them
 * when they go. Milliseconds since the epoch.
 */
export class LastUses {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  of(kind: "image" | "volume", id: string): number | undefined {
    const sql = "SELECT at FROM engine_last_uses WHERE kind = ? AND id = ?";
    return this.#database.query<{ at: number }, [string, string]>(sql).get(kind, id)?.at;
  }

  /** Takes from an event what it says about use. */
  observe({ type, action, id, time }: EngineEvent, index: ContainerIndex): void {
    const at = Number(time / 1_000_000n);
    if (type === "volume" && (action === "mount" || action === "unmount")) this.#note("volume", id, at);
    if (type !== "container" || (action !== "create" && action !== "start")) return;
    const entry = index.get(id);
    if (entry === undefined) return;
    const { imageId, mounts } = entry.definition;
    for (const image of [imageId, ...mounts.map((mount) => mount.imageId)])
      if (image !== undefined) this.#note("image", image, at);
  }

  /** Forgets what is gone. */
  tidy(): void {
    this.#database.run(
      `DELETE FROM engine_last_uses WHERE id NOT IN
         (SELECT id FROM images UNION SELECT name FROM engine_volumes UNION SELECT name FROM restorables)`,
    );
  }

  #note(kind: "image" | "volume", id: string, at: number): void {
    this.#database
      .query("INSERT INTO engine_last_uses VALUES (?1, ?2, ?3) ON CONFLICT (kind, id) DO UPDATE SET at = ?3")
      .run(kind, id, at);
  }
}
