export const LOG_LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** Receives one line without its newline. */
  readonly write: (line: string) => void;
}

export function createLogger(options: LoggerOptions, bound: LogFields = {}): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const render = options.format === "json" ? jsonLine : textLine;
  const log = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    options.write(render(level, message, { ...bound, ...fields }));
  };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = createLogger({ level: "fatal", format: "text", write: () => {} });

function jsonLine(level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time: new Date().toISOString(), level, msg: message, ...plain(fields) });
}

function textLine(level: LogLevel, message: string, fields: LogFields): string {
  const pairs = Object.entries(plain(fields)).map(([key, value]) => ` ${key}=${quoteIfNeeded(value)}`);
  return `${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join("")}`;
}

function plain(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]),
  );
}

function quoteIfNeeded(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined");
  return /[\s"=]/.test(text) && typeof value === "string" ? JSON.stringify(text) : text;
}
