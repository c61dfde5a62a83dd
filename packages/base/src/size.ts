import { SlipwayError } from "./errors.ts";

const BINARY_UNITS = ["", "k", "m", "g", "t", "p"];
const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY_NAMES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes of a size as Docker's flags write it: `512`, `64m`, `1.5g`, `10MB`, `2GiB`; units are powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (match?.[1] === undefined) {
    throw new SlipwayError("invalid", `invalid size: '${text}'`, {
      hint: "Write a number and a unit, such as 64m or 2g.",
    });
  }
  return Math.floor(Number(match[1]) * 1024 ** BINARY_UNITS.indexOf((match[2] ?? "").toLowerCase()));
}

/** A size for people in powers of 1000 with `digits` significant digits: `12.3MB`, as `docker images` shows it. */
export function humanSize(bytes: number, digits = 3): string {
  return scaled(bytes, 1000, DECIMAL_UNITS, digits);
}

/** A size for people in powers of 1024: `61.5MiB`, as `docker stats` shows it. */
export function binarySize(bytes: number, digits = 4): string {
  return scaled(bytes, 1024, BINARY_NAMES, digits);
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  // Go's %.3g: significant digits, no trailing zeros, and never an exponent for the values that occur here.
  return `${Number(value.toPrecision(digits))}${units[unit]}`;
}
