import type { Database } from "bun:sqlite";

/**
 * Makes what was written survive a power cut, without a single fsync on the way of whoever waits.
 *
 * Writing a layer means thousands of files; fsync of each, or of the file system before each answer, would cost more than
 * all other work. What can go wrong without it?
 *
 * - `kill -9` of the daemon: nothing. Written data is the kernel's; order of write, rename and row is kept by the program.
 * - Power cut: SQLite's own log is consistent, but a row may have reached the disk before the files that it names.
 *
 * So each row of files is marked with the boot and the round in which they were written. Some seconds later `syncfs`
 * runs in a worker and the marks of the rounds before it are taken away. A start that finds marks of *another* boot knows
 * exactly which files may be damaged, and verifies their digests before anybody sees them (recovery.ts). Marks of this
 * boot mean only that the daemon was restarted.
 */
export class DiskSync {
  readonly #database: Database;
  readonly #boot: string;
  readonly #syncfs: () => Promise<void>;
  #round = 0;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(database: Database, boot: string, syncfs: () => Promise<void>) {
    this.#database = database;
    this.#boot = boot;
    this.#syncfs = syncfs;
  }

  /** The mark for a row whose files have just been written. */
  mark(): string {
    this.#timer ??= setTimeout(() => void this.flush().catch(() => {}), DELAY_MS).unref();
    return `${this.#boot}/${this.#round}`;
  }

  /** Takes rows over that an earlier process of this boot left marked: their files are still in the page cache. */
  adopt(): void {
    const mark = `${this.#boot}/0`;
    for (const table of TABLES) {
      const { changes } = this.#database
        .query(`UPDATE ${table} SET unsynced = ?1 WHERE unsynced LIKE ?2`)
        .run(mark, `${this.#boot}/%`);
      if (changes > 0) this.mark();
    }
  }

  /** Waits until everything that is marked now is on the disk. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
    this.#running = this.#flushRound().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #flushRound(): Promise<void> {
    // Rows that appear while syncfs runs belong to the next round and keep their mark.
    const round = this.#round++;
    await this.#syncfs();
    for (const table of TABLES) {
      this.#database.query(`UPDATE ${table} SET unsynced = NULL WHERE unsynced = ?1`).run(`${this.#boot}/${round}`);
    }
  }

  /** Stops without waiting for the disk: the marks stay, and the next start goes on from them. */
  stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#running?.catch(() => {}) ?? Promise.resolve();
  }
}

/** Long enough to join a build's layers, short enough that little must be verified after a power cut. */
const DELAY_MS = 5000;
const TABLES = ["blobs", "trees"] as const;
