import { humanSize } from "@slipway/base";

/** Milliseconds that the rate looks back: it follows a change of speed, and does not jump. */
const WINDOW = 5000;

/** Before so many milliseconds a rate says nothing. */
const EARLIEST = 1000;

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

/** How fast something goes on, and how long still. */
export class Pace {
  #samples: Sample[] = [];

  /** `40% 12MB/30MB 5.1MB/s 3s left`, at this moment (milliseconds); what is not known is left out. */
  text(current: number, total: number | undefined, at = performance.now()): string {
    const last = this.#samples.at(-1);
    // Begun again, after a break of the connection for instance.
    if (last !== undefined && current < last.bytes) this.#samples = [];
    const within = this.#samples.filter((sample) => at - sample.at <= WINDOW).length;
    // One sample from before the window is its beginning.
    this.#samples = this.#samples.slice(-(within + 1));
    this.#samples.push({ at, bytes: current });
    const known = total !== undefined && total > 0 && current <= total ? total : undefined;
    const far =
      known === undefined
        ? humanSize(current)
        : `${Math.floor((current / known) * 100)}% ${humanSize(current)}/${humanSize(known)}`;
    const rate = this.#rate();
    if (rate === undefined || current === known) return far;
    const left = known === undefined ? "" : ` ${shortDuration((known - current) / rate)} left`;
    return `${far} ${humanSize(rate, 2)}/s${left}`;
  }

  /** Bytes a second; undefined while it is not known, or nothing moves. */
  #rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at - first.at < EARLIEST) return undefined;
    const rate = ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
    return rate > 0 ? rate : undefined;
  }
}

/** `3s`, `2m05s`, `1h02m`, of seconds. */
export function shortDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (number: number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${two(whole % 60)}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 100 ? `${hours}h${two(minutes % 60)}m` : `${Math.floor(hours / 24)}d`;
}
