import { errorMessage, type Logger } from "@slipway/base";
import type { Store } from "@slipway/store";
import type { EngineEvent } from "../faces.ts";

/** Past events that `since` can still reach, also after a restart; Docker keeps 256 and forgets them. */
const KEPT_EVENTS = 1024;
/** Characters of all kept events together: labels, which events carry, may be large, and all are read in one turn. */
const KEPT_CHARACTERS = 2 * 1024 * 1024;
/** What may pile up over the bounds before the oldest are taken away. */
const [SLACK_EVENTS, SLACK_CHARACTERS] = [256, 256 * 1024];

type StoredEvent = Omit<EngineEvent, "time"> & { readonly time: string };

/**
 * The bounded past of the engine's events, as rows of the store's database. A row is written when its event is announced and is
 * not waited for by a disk: `kill -9` loses none, a power cut the last few.
 */
export class EventJournal {
  readonly #database: Store["database"];
  readonly #log: Logger;
  #newEvents = 0;
  #newCharacters = 0;

  constructor(database: Store["database"], log: Logger) {
    this.#database = database;
    this.#log = log;
    this.#trim();
  }

  /** A full disk must not stop what happened from being told: then only the past is lost. */
  append(event: EngineEvent): void {
    const text = JSON.stringify({ ...event, time: String(event.time) } satisfies StoredEvent);
    try {
      this.#database.query("INSERT INTO engine_events (event) VALUES (?)").run(text);
    } catch (error) {
      this.#log.warn("an event could not be kept", { error: errorMessage(error) });
      return;
    }
    this.#newEvents++;
    this.#newCharacters += text.length;
    if (this.#newEvents >= SLACK_EVENTS || this.#newCharacters >= SLACK_CHARACTERS) this.#trim();
  }

  /** Oldest first. */
  *read(): Generator<EngineEvent> {
    const rows = this.#database.query<{ event: string }, []>("SELECT event FROM engine_events ORDER BY seq").all();
    for (const { event } of rows) yield revive(event);
  }

  /** Nanoseconds of the newest event; 0 when there is none. */
  lastTime(): bigint {
    const query = this.#database.query<{ event: string }, []>(
      "SELECT event FROM engine_events ORDER BY seq DESC LIMIT 1",
    );
    const row = query.get();
    return row === null ? 0n : revive(row.event).time;
  }

  #trim(): void {
    this.#newEvents = 0;
    this.#newCharacters = 0;
    const database = this.#database;
    const sql = `DELETE FROM engine_events WHERE seq <= (
      SELECT max(seq) FROM (
        SELECT seq, row_number() OVER newest AS place, sum(length(event)) OVER newest AS characters
        FROM engine_events WINDOW newest AS (ORDER BY seq DESC)
      ) WHERE place > ${KEPT_EVENTS} OR characters > ${KEPT_CHARACTERS})`;
    try {
      database.run(sql);
    } catch (error) {
      this.#log.warn("old events could not be taken away", { error: errorMessage(error) });
    }
  }
}

/** Rows are our own writing. */
function revive(text: string): EngineEvent {
  const stored = JSON.parse(text) as StoredEvent;
  return { ...stored, time: BigInt(stored.time) };
}
