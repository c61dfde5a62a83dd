import { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel } from "@slipway/base";

/** A logger whose level can change while everybody holds it (SIGHUP). */
export class ReloadableLogger implements Logger {
  #target: Logger;
  readonly #options: LoggerOptions;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.#target = createLogger(options);
  }

  setLevel(level: LogLevel): void {
    this.#target = createLogger({ ...this.#options, level });
  }

  debug(message: string, fields?: LogFields): void {
    this.#target.debug(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#target.info(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#target.warn(message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#target.error(message, fields);
  }

  with(bound: LogFields): Logger {
    const derive = (fields: LogFields): Logger => ({
      debug: (message, more) => this.debug(message, { ...fields, ...more }),
      info: (message, more) => this.info(message, { ...fields, ...more }),
      warn: (message, more) => this.warn(message, { ...fields, ...more }),
      error: (message, more) => this.error(message, { ...fields, ...more }),
      with: (more) => derive({ ...fields, ...more }),
    });
    return derive(bound);
  }
}
