/** Go's `time.Time.String` of a moment in seconds: `2006-01-02 15:04:05 +0000 UTC`, in the local time zone. */
export function goTime(seconds: number, fraction = ""): string {
  const date = new Date(seconds * 1000);
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  return `${dateText(date)} ${timeText(date)}${fraction} ${zone} ${zoneName(date, offset)}`;
}

/** The same of a moment in RFC 3339, with its fraction of a second as far as it is not zero. */
export function goTimeOf(text: string): string {
  const fraction = /\.(\d*[1-9])0*(?:Z|[+-]\d\d:\d\d)$/.exec(text)?.[1];
  return goTime(Math.floor(Date.parse(text) / 1000), fraction === undefined ? "" : `.${fraction}`);
}

/** RFC 3339 with seconds, in the local time zone: `2006-01-02T15:04:05Z`. */
export function rfc3339(seconds: number): string {
  const date = new Date(seconds * 1000);
  return `${dateText(date)}T${timeText(date)}${zoneSuffix(date)}`;
}

/** RFC 3339 with nine digits of the second, as `events` prints it. */
export function rfc3339Nano(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, "0");
  return `${dateText(date)}T${timeText(date)}.${fraction}${zoneSuffix(date)}`;
}

function zoneSuffix(date: Date): string {
  const offset = -date.getTimezoneOffset();
  if (offset === 0) return "Z";
  return `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
}

function dateText(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function timeText(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function zoneName(date: Date, offset: number): string {
  // Intl takes milliseconds to load, and servers keep UTC.
  if (offset === 0 && new Date(date.getFullYear(), 6).getTimezoneOffset() === 0) return "UTC";
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
