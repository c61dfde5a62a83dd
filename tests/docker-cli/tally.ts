import type { Result } from "./runner.ts";

/** What came of a run. */
export class Tally {
  readonly #results: Result[] = [];

  add(result: Result): void {
    this.#results.push(result);
  }

  get total(): number {
    return this.#results.length;
  }

  get failed(): readonly Result[] {
    return this.#results.filter(({ verdict }) => verdict === "failed");
  }

  line(): string {
    const count = (verdict: Result["verdict"]) => this.#results.filter((result) => result.verdict === verdict).length;
    return `${count("passed")} passed, ${count("failed")} failed, ${count("differs")} differ (listed)`;
  }
}
