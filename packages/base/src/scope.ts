type Release = () => void | PromiseLike<void>;

/**
 * Things to undo, in reverse order, whatever happens.
 *
 * ```ts
 * await using scope = new Scope();
 * scope.defer(() => unmount(target));
 * ...
 * scope.disarm(); // success: keep what was made
 * ```
 *
 * Every release runs even if an earlier one fails; the failures are thrown together at the end.
 */
export class Scope implements AsyncDisposable {
  #releases: Release[] = [];

  defer(release: Release): void {
    this.#releases.push(release);
  }

  /** Registers a disposable and returns it. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Forgets all releases: what was made now belongs to somebody else. */
  disarm(): void {
    this.#releases = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, "several clean-ups failed");
  }
}
